'use strict';
// What it is, and where the bytes are.

/** What a model is in a line: family, names, format. */
const kindOf = model => [model.family || (model.keras ? `Keras ${model.keras.form} model` : 'no known family'), model.dialect && !model.keras ? `${model.dialect} names` : null, `${model.format} format`].filter(Boolean).join(' · ');

function figures(entries) {
  return element('dl', {class: 'figures'}, entries.map(([name, value, note]) => element('div', {},
    element('dt', {}, name), element('dd', {}, value, note && note !== value ? element('small', {}, note) : null))));
}

function overviewHead() {
  const model = data.model, top = document.getElementById('top');
  if (data.change) return changeHead(top);
  top.append(element('h1', {}, model.name || model.path), element('p', {class: 'soft'}, kindOf(model)));
  const entries = [
    ['Parameters', millions(model.parameters), grouped(model.parameters)],
    ['Size', bytes(model.bytes), `${grouped(model.bytes)} bytes`],
    ['Tensors', grouped(model.tensors), Object.keys(model.dtypes).join(', ')],
  ];
  if (model.layers) entries.push(['Layers', grouped(model.layers), null]);
  if (model.token_rows) entries.push(['Vocabulary', grouped(model.token_rows), model.vocabulary ? `${grouped(model.vocabulary.tokens)} tokens listed` : 'rows of the token table']);
  const bad = data.tensors.filter(isBad).length;
  entries.push(['Not finite', grouped(bad), bad ? 'tensors with NaN or Inf' : 'no NaN, no Inf']);
  const warnings = (model.concerns || []).filter(concern => concern.severity === 'warning').length;
  entries.push(['Warnings', grouped(warnings), warnings ? element('a', {href: '#concerns'}, 'see what they say') : 'nothing looks wrong']);
  top.append(figures(entries));
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
function partsTable(model) {
  let parts = model.composition.parts;
  const whole = Math.max(1, model.parameters);
  if (!parts.length) return null;
  // Of very many the largest; the others together.
  if (parts.length > 16) {
    const large = new Set([...parts].sort((a, b) => b.parameters - a.parameters).slice(0, 14)), small = parts.filter(part => !large.has(part));
    parts = parts.filter(part => large.has(part));
    if (small.length) parts.push({name: plural(small.length, 'other'), role: 'trainable', blocks: 1, parameters: sum(small.map(part => part.parameters))});
  }
  return [element('h3', {}, 'Parameters by part'), element('table', {class: 'plain', id: 'parts'}, element('tbody', {}, parts.map(part =>
    element('tr', {}, element('th', {scope: 'row'}, nameText(part.name), part.blocks > 1 ? element('span', {class: 'soft'}, ` ${part.blocks} × ${grouped(part.parameters_per_block)}`) : null, part.role === 'trainable' ? null : element('span', {class: 'soft'}, part.name === part.role ? '' : ` ${part.role}`)),
      element('td', {class: 'n'}, grouped(part.parameters)), element('td', {class: 'n'}, percent(part.parameters / whole)), element('td', {class: 'bar'}, shareBar(part.parameters / whole))))))];
}

/** Rows about a Keras graph. */
function kerasFacts(keras) {
  const ports = list => list.map(port => `${port.name} ${port.shape ? `(${port.shape.map(extent => extent === null ? 'None' : extent).join(', ')})` : ''}`).join(', ');
  return [['Model', `${keras.form}, as Keras ${keras.version} writes it`], ['Inputs', ports(keras.inputs)], ['Outputs', ports(keras.outputs)],
    ['Trainable', grouped(keras.trainable_parameters)], ['Non-trainable', grouped(keras.non_trainable_parameters)]];
}

/** Rows about the file. */
function fileFacts(model) {
  const path = text => text ? element('span', {class: 'path'}, breakable(text)) : null;
  return facts([
    ['Path', path(model.path)], ['Format', model.format], ['Written by', model.writer],
    ...Object.entries(model.facts || {}),
    ['Files', model.files > 1 ? grouped(model.files) : null],
    ...(model.keras ? kerasFacts(model.keras) : [['Dialect', model.dialect], ['Family', model.family || `unknown: ${model.unknown || 'no names that are known'}`]]),
    ['Heads', (model.heads || []).join(', ')], ['Options', (model.options || []).join('; ')],
    ...(model.tops || []).map(top => [`On top: ${top.name}`, top.meaning]),
    ['Configuration', path(model.config_file)], ['Vocabulary', path(model.vocab_file)],
    ['As float16', float16(model.numbers)],
  ]);
}

/** What rounding to float16 would do. */
function float16(numbers) {
  if (!numbers || !numbers.float16.wider) return null;
  const half = numbers.float16;
  const share = value => (value < 0.001 || half.shares_exact ? '' : 'about ') + percent(value).replace(' ', '\u00a0');
  return `${half.overflowing ? `${plural(half.overflowing, 'number')} would become infinite` : 'nothing becomes infinite'}; ${share(half.vanishing_share)} become zero, ${share(half.subnormal_share)} lose digits`;
}

/** Configuration values that matter: [key, value, origin, meaning], the stated ones first. */
function settings(model) {
  const assumed = new Set(model.assumed || []);
  return Object.entries(model.origins || {}).filter(([key, origin]) => origin !== 'assumed' || assumed.has(key))
    .map(([key, origin]) => [key, model.config[key], origin, (model.meanings || {})[key]])
    .sort((a, b) => (a[2] === 'assumed') - (b[2] === 'assumed'));
}

function overviewSection() {
  const model = data.model, all = settings(model), assumed = all.filter(entry => entry[2] === 'assumed').length;
  const types = tally(data.tensors, tensor => tensor.dtype), whole = Math.max(1, sum(types.map(type => type[2])));
  const left = [element('h3', {}, 'The file'), fileFacts(model), element('h3', {}, 'Bytes by type'), element('table', {class: 'plain', id: 'types'}, element('tbody', {}, types.map(([type, count, size]) =>
    element('tr', {}, element('th', {scope: 'row'}, type), element('td', {class: 'n'}, bytes(size)), element('td', {class: 'n'}, plural(count, 'tensor')), element('td', {class: 'bar'}, shareBar(size / whole))))))];
  const parts = partsTable(model);
  if (all.length && parts) left.push(...parts);
  const right = !all.length ? parts : [element('h3', {}, 'Configuration'), element('table', {class: 'plain', id: 'config'},
    element('tbody', {}, all.map(([key, value, origin, meaning]) => element('tr', {title: meaning}, element('th', {scope: 'row', class: 'mono'}, breakable(key)),
      element('td', {class: 'mono'}, breakable(valueText(value))), element('td', {class: 'tag' + (origin === 'assumed' ? ' assumed' : '')}, origin)))))];
  section('overview', 'Overview', 'What it is', assumed ? `${plural(assumed, 'value')} of the configuration ${assumed === 1 ? 'is' : 'are'} assumed, because the file leaves ${assumed === 1 ? 'it' : 'them'} open.` : null,
    element('div', {class: 'columns'}, element('div', {}, left), right ? element('div', {}, right) : null));
}

/** A sentence with the tensors that it speaks of, which lead to the table. */
function concernItem(concern, known) {
  const names = concern.tensors.filter(name => known.has(name));
  return element('li', {class: concern.severity}, concern.sentence, names.length ? [' ', element('button', {type: 'button', class: 'go', onclick: () => showTensors(names[0], true)}, names.length > 1 ? `show the first of ${names.length}` : 'show')] : null);
}

function concernsSection() {
  const model = data.model, concerns = model.concerns || [], said = new Set(concerns.map(concern => concern.sentence));
  const known = new Set(data.tensors.map(tensor => tensor.name));
  const others = (model.warnings || []).filter(warning => !said.has(warning));
  if (model.error) others.unshift(model.error.message);
  if (!concerns.length && !others.length) return;
  const count = concerns.filter(concern => concern.severity === 'warning').length;
  const words = [count ? plural(count, 'warning') : null, concerns.length > count ? plural(concerns.length - count, 'note') : null, others.length ? plural(others.length, 'remark') : null].filter(Boolean);
  section('concerns', 'Warnings', `What to know: ${words.join(', ')}`, null, element('ul', {class: 'concerns'}, concerns.map(concern => concernItem(concern, known)), others.map(text => element('li', {class: model.error && text === model.error.message ? 'warning' : 'note'}, text))));
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

const byName = new Intl.Collator('en', {numeric: true});

/** Rectangles of given sizes, as square as they can be (Bruls, Huizing, van Wijk 2000). */
function squarify(items, x, y, width, height, place) {
  let rest = items.filter(item => item.size > 0).sort((a, b) => b.size - a.size || byName.compare(a.name, b.name)), total = sum(rest.map(item => item.size));
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
  // A tensor that several layers share has a row for each of them, but its bytes are stored once.
  const seen = new Set();
  const own = data.tensors.filter(tensor => tensor.state !== 'only in the second' && !seen.has(tensor.name) && seen.add(tensor.name));
  for (const tensor of own) {
    const key = parcelOf(tensor);
    if (!groups.has(key)) groups.set(key, {name: key, size: 0, tensors: []});
    const group = groups.get(key);
    group.size += tensor.bytes;
    group.tensors.push({tensor, name: tensor.note ? tensor.name : ((tensor.canonical || [])[0] || tensor.name).slice(key.length).replace(/^[.\/]/, ''), size: tensor.bytes});
  }
  const whole = sum([...groups.values()].map(group => group.size));
  // What would be too small to see is one area.
  const largest = [...groups.values()].sort((a, b) => b.size - a.size), few = largest.slice(0, 250), many = largest.slice(250);
  if (many.length) few.push({name: plural(many.length, 'other'), size: sum(many.map(group => group.size)), tensors: [], isRest: true});
  if (whole === 0 || own.length < 2) return;
  const holder = element('div', {class: 'drawing', id: 'sizes-map'});
  const node = section('sizes', 'Sizes', data.change ? 'Where the bytes of the first are' : 'Where the bytes are', 'Each area is as large as what is stored. A click shows the tensors.', holder);
  const drawn = document.getElementById('architecture');
  if (drawn && data.model.diagram) { const pair = element('div', {class: 'pair'}); drawn.before(pair); pair.append(drawn, node); }
  onWidth(holder, width => {
    const isBeside = matchMedia('(min-width: 1200px)').matches && data.model.diagram;
    const height = Math.round(isBeside ? width * 1.25 : Math.max(240, Math.min(420, width * 0.36)));
    const root = drawing('svg', {viewBox: `0 0 ${width} ${height}`, width, height, role: 'group', 'aria-label': 'Areas by size'});
    const fit = (text, room, letter = 6.6) => room < 26 ? '' : text.length * letter <= room ? text : room < 40 ? '' : '…' + text.slice(text.length - Math.floor(room / letter) + 1);
    squarify(few, 0, 0, width, height, (group, x, y, w, h) => {
      const show = () => showTensors(group.isRest ? '' : group.name);
      const node = drawing('g', {class: 'parcel', role: 'link', tabindex: w * h > 600 ? 0 : null, 'aria-label': `${group.name}, ${bytes(group.size)}`,
        onclick: show, onkeydown: event => { if (event.key === 'Enter') { event.preventDefault(); show(); } }}, drawing('title', {}, `${group.name}\n${bytes(group.size)}, ${percent(group.size / whole)}`));
      const head = h > 34 && w > 40 ? 17 : 0;
      if (group.tensors.length < 2 || w * h < 900) node.append(drawing('rect', {class: 'tile', x, y, width: w, height: h}));
      else {
        node.append(drawing('rect', {class: 'tile other', x, y, width: w, height: h}));
        squarify(group.tensors, x + 1, y + head, w - 2, h - head - 1, (item, left, top, wide, high) => {
          node.append(drawing('g', {}, drawing('title', {}, `${item.tensor.name}\n${shapeText(item.tensor.shape)}, ${bytes(item.size)}`),
            drawing('rect', {class: 'tile', x: left, y: top, width: wide, height: high}),
            wide > 44 && high > 16 ? drawing('text', {class: 'soft', x: left + 5, y: top + 13, 'font-size': 10.5}, fit(item.name.replace(/[.\/](kernel|weight)(:0)?$/, ''), wide - 8)) : null));
        });
      }
      if (head) node.append(drawing('text', {x: x + 5, y: y + 13, 'font-size': 11.5, 'font-weight': 600}, fit(group.name, w - 10, 7.5)));
      root.append(node);
    });
    holder.replaceChildren(root);
  });
}
