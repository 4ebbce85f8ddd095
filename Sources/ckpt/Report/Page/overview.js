'use strict';
// What it is, and where the bytes are.

function overviewHead() {
  const model = data.model, top = document.getElementById('top');
  const kind = [model.family || 'no known family', model.dialect ? `${model.dialect} names` : null, `${model.format} format`];
  top.append(element('h1', {}, model.name || model.path), element('p', {class: 'soft'}, kind.filter(Boolean).join(' · ')));
  const types = tally(data.tensors, tensor => tensor.dtype);
  const size = sum(data.tensors.map(tensor => tensor.bytes)), count = sum(data.tensors.map(tensor => product(tensor.shape)));
  const figures = [
    ['Parameters', millions(count), grouped(count)],
    ['Size', bytes(size), `${grouped(size)} bytes`],
    ['Tensors', grouped(data.tensors.length), types.map(([type]) => type).join(', ')],
  ];
  if (model.layers) figures.push(['Layers', grouped(model.layers), null]);
  if (model.vocabulary) figures.push(['Vocabulary', grouped(model.vocabulary), 'tokens']);
  const bad = data.tensors.filter(isBad).length;
  figures.push(['Not finite', grouped(bad), bad ? 'tensors with NaN or Inf' : 'no NaN, no Inf']);
  top.append(element('dl', {class: 'figures'}, figures.map(([name, value, note]) => element('div', {},
    element('dt', {}, name), element('dd', {}, value, note && note !== value ? element('small', {}, note) : null)))));
}

/** [key, number of rows, bytes] of each key, the largest first. */
function tally(tensors, key) {
  const found = new Map();
  for (const tensor of tensors) {
    const entry = found.get(key(tensor)) || [key(tensor), 0, 0, 0];
    entry[1] += 1; entry[2] += tensor.bytes; entry[3] += product(tensor.shape);
    found.set(key(tensor), entry);
  }
  return [...found.values()].sort((a, b) => b[2] - a[2]);
}

const valueText = value => Array.isArray(value) ? value.join(', ') : value !== null && typeof value === 'object' ? JSON.stringify(value) : String(value);

function shareBar(share) {
  const bar = element('i');
  bar.style.width = `${(100 * share).toFixed(1)}%`;
  return element('span', {class: 'share', 'aria-hidden': 'true'}, bar);
}

/** Parts of the model with their share of the parameters. */
function partsTable() {
  const stages = (data.model.diagram || []).filter(stage => stage.parameters > 0);
  const rows = stages.map(stage => [stage.kind === 'blocks' && stage.times > 1 ? `${stage.title} × ${stage.times}` : stage.title, stage.parameters]);
  for (const [note, , , count] of tally(data.tensors.filter(tensor => tensor.note), tensor => tensor.note)) rows.push([note, count]);
  if (!rows.length) return null;
  const whole = sum(rows.map(row => row[1]));
  return [element('h3', {}, 'Parameters by part'), element('table', {class: 'plain', id: 'parts'}, element('tbody', {}, rows.map(([name, count]) =>
    element('tr', {}, element('th', {scope: 'row'}, name), element('td', {class: 'n'}, grouped(count)), element('td', {class: 'n'}, percent(count / whole)), element('td', {}, shareBar(count / whole))))))];
}

function overviewSection() {
  const model = data.model, assumed = (model.config || []).filter(entry => entry.origin === 'assumed');
  const types = tally(data.tensors, tensor => tensor.dtype), whole = Math.max(1, sum(types.map(type => type[2])));
  const left = [element('h3', {}, 'The file'), facts([
    ['Path', element('span', {class: 'path'}, model.path)],
    ['Format', model.format + (model.writer ? ` (${model.writer})` : '')],
    ['Files', model.files > 1 ? grouped(model.files) : null],
    ['Dialect', model.dialect], ['Family', model.family || `unknown: ${model.unknown || 'no names that are known'}`],
    ['Options', (model.options || []).join('; ')],
    ['Configuration', model.config_file ? element('span', {class: 'path'}, model.config_file) : null],
    ['Vocabulary', model.vocab_file ? element('span', {class: 'path'}, model.vocab_file) : null],
  ]), element('h3', {}, 'Bytes by type'), element('table', {class: 'plain', id: 'types'}, element('tbody', {}, types.map(([type, count, size]) =>
    element('tr', {}, element('th', {scope: 'row'}, type), element('td', {class: 'n'}, bytes(size)), element('td', {class: 'n'}, plural(count, 'tensor')), element('td', {}, shareBar(size / whole)))))), partsTable()];
  const right = model.config && model.config.length ? [element('h3', {}, 'Configuration'), element('table', {class: 'plain', id: 'config'},
    element('tbody', {}, [...model.config].sort((a, b) => (a.origin === 'assumed') - (b.origin === 'assumed')).map(entry => element('tr', {title: entry.meaning}, element('th', {scope: 'row', class: 'mono'}, entry.key),
      element('td', {class: 'mono'}, valueText(entry.value)), element('td', {class: 'tag' + (entry.origin === 'assumed' ? ' assumed' : '')}, entry.origin)))))] : null;
  section('overview', 'Overview', 'What it is', assumed.length ? `${plural(assumed.length, 'value')} of the configuration ${assumed.length === 1 ? 'is' : 'are'} assumed, because the file leaves ${assumed.length === 1 ? 'it' : 'them'} open.` : null,
    element('div', {class: 'columns'}, element('div', {}, left), right ? element('div', {}, right) : null));
}

function warningsSection() {
  const warnings = data.model.warnings || [];
  if (!warnings.length) return;
  section('warnings', 'Warnings', `What to know: ${plural(warnings.length, 'warning')}`, null,
    element('ul', {class: 'warnings'}, warnings.map(warning => element('li', {}, warning))));
}

// Where the bytes are

/** The part that a tensor belongs to in a map of sizes. */
function parcelOf(tensor) {
  if (tensor.note) return tensor.note;
  const name = (tensor.canonical || [])[0] || tensor.name;
  const parts = name.split(/[.\/]/);
  const found = layerNumber.exec(name);
  if (found) return name.slice(0, found.index + found[0].length);
  return parts.length > 2 ? parts.slice(0, 2).join(name.includes('/') ? '/' : '.') : parts[0];
}

/** Rectangles of given sizes, as square as they can be (Bruls, Huizing, van Wijk 2000). */
function squarify(items, x, y, width, height, place) {
  let rest = items.filter(item => item.size > 0).sort((a, b) => b.size - a.size), total = sum(rest.map(item => item.size));
  while (rest.length && width > 0.5 && height > 0.5) {
    const side = Math.min(width, height), scale = width * height / total;
    let row = [], best = Infinity, area = 0;
    for (const item of rest) {
      const next = area + item.size * scale, sizes = [...row, item].map(one => one.size * scale);
      const worst = Math.max(side * side * sizes[0] / (next * next), next * next / (side * side * sizes[sizes.length - 1]));
      if (worst > best) break;
      best = worst; area = next; row.push(item);
    }
    const depth = area / side;
    let at = 0;
    for (const item of row) {
      const length = item.size * scale / depth;
      if (width >= height) place(item, x, y + at, depth, length); else place(item, x + at, y, length, depth);
      at += length;
    }
    if (width >= height) { x += depth; width -= depth; } else { y += depth; height -= depth; }
    total -= sum(row.map(item => item.size));
    rest = rest.slice(row.length);
  }
}

function sizesSection() {
  const groups = new Map();
  for (const tensor of data.tensors) {
    const key = parcelOf(tensor);
    if (!groups.has(key)) groups.set(key, {name: key, size: 0, tensors: []});
    const group = groups.get(key);
    group.size += tensor.bytes;
    group.tensors.push({tensor, name: tensor.note ? tensor.name : ((tensor.canonical || [])[0] || tensor.name).slice(key.length).replace(/^[.\/]/, ''), size: tensor.bytes});
  }
  const whole = sum([...groups.values()].map(group => group.size));
  if (whole === 0 || data.tensors.length < 2) return;
  const holder = element('div', {class: 'drawing', id: 'sizes-map'});
  const node = section('sizes', 'Sizes', 'Where the bytes are', 'Each area is as large as what is stored. A click shows the tensors.', holder);
  const drawn = document.getElementById('architecture');
  if (drawn) { const pair = element('div', {class: 'pair'}); drawn.before(pair); pair.append(drawn, node); }
  onWidth(holder, width => {
    const isBeside = matchMedia('(min-width: 1200px)').matches && data.model.diagram;
    const height = Math.round(isBeside ? width * 1.25 : Math.max(240, Math.min(420, width * 0.36)));
    const root = drawing('svg', {viewBox: `0 0 ${width} ${height}`, width, height, role: 'group', 'aria-label': 'Areas by size'});
    const fit = (text, room) => room < 26 ? '' : text.length * 6.6 <= room ? text : room < 40 ? '' : text.slice(0, Math.max(0, Math.floor(room / 6.6) - 1)) + '…';
    squarify([...groups.values()], 0, 0, width, height, (group, x, y, w, h) => {
      const show = () => showTensors(group.name);
      const node = drawing('g', {class: 'parcel', role: 'link', tabindex: w * h > 600 ? 0 : null, 'aria-label': `${group.name}, ${bytes(group.size)}`,
        onclick: show, onkeydown: event => { if (event.key === 'Enter') show(); }}, drawing('title', {}, `${group.name}\n${bytes(group.size)}, ${percent(group.size / whole)}`));
      const head = h > 34 && w > 40 ? 17 : 0;
      if (group.tensors.length === 1 || w * h < 900) node.append(drawing('rect', {class: 'tile', x, y, width: w, height: h}));
      else {
        node.append(drawing('rect', {class: 'tile other', x, y, width: w, height: h}));
        squarify(group.tensors, x + 1, y + head, w - 2, h - head - 1, (item, left, top, wide, high) => {
          node.append(drawing('g', {}, drawing('title', {}, `${item.tensor.name}\n${shapeText(item.tensor.shape)}, ${bytes(item.size)}`),
            drawing('rect', {class: 'tile', x: left, y: top, width: wide, height: high}),
            wide > 50 && high > 16 ? drawing('text', {class: 'soft', x: left + 5, y: top + 13, 'font-size': 10.5}, fit(item.name, wide - 8)) : null));
        });
      }
      if (head) node.append(drawing('text', {x: x + 5, y: y + 13, 'font-size': 11.5, 'font-weight': 600}, fit(group.name, w - 10)));
      root.append(node);
    });
    holder.replaceChildren(root);
  });
}
