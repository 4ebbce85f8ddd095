'use strict';
// The drawing of a Keras graph: layers from the inputs down, inner models folded until they are opened.
//
// Layers lie in ranks (the longest way from an input), which are ordered so that few ways cross (Sugiyama, Tagawa,
// Toda 1981). A run of layers without branches is one box with a line for each. A way that passes ranks has a lane
// in each of them, so that skip connections go around what they skip.

const graphKinds = [
  ['convolution', /conv|pool|upsampling|padding|cropping/i], ['dense', /dense|embedding|einsum/i], ['norm', /norm/i],
  ['recurrent', /lstm|gru|rnn|bidirectional|timedistributed/i], ['attention', /attention/i],
  ['merge', /^(add|subtract|multiply|average|maximum|minimum|concatenate|dot|merge)$/i], ['input', /^input/i],
];

/** What a layer is coloured by. */
function graphKind(row) {
  if (row.reason) return 'unknown';
  if (row.inner || row.isModel) return 'model';
  const found = graphKinds.find(([, pattern]) => pattern.test(row.class));
  return found ? found[0] : 'other';
}

const graphShape = shapes => shapes.length ? shapes.map(shape => shape.slice(1).map(extent => extent === null ? '?' : extent).join(' × ') || '1').join(', ') : '?';

/** The layers as a tree: what lies in a model is in its `inner`. */
function graphTree(rows) {
  const root = {inner: [], path: ''}, open = [root];
  for (const row of rows) {
    const node = {...row, inner: null, key: row.path};
    open.length = row.depth + 1;
    const parent = open[row.depth];
    parent.inner = parent.inner || [];
    parent.inner.push(node);
    open[row.depth + 1] = node;
  }
  return root;
}

function graphSection() {
  const keras = data.model.keras;
  if (!keras || !keras.layers.length) return;
  const root = graphTree(keras.layers), models = keras.layers.filter((row, index) => (keras.layers[index + 1] || {depth: 0}).depth > row.depth);
  // A small model is shown whole.
  const opened = new Set(keras.layers.length <= 40 ? models.map(row => row.path) : []);
  const holder = element('div', {class: 'drawing graph', id: 'graph', tabindex: 0, role: 'region', 'aria-label': 'Graph of layers'});
  const used = new Map();
  for (const row of keras.layers) { const node = {...row, inner: models.some(model => model.path === row.path)}; used.set(graphKind(node), true); }
  const words = {convolution: 'convolution, pooling', dense: 'dense, embedding', norm: 'norm', recurrent: 'recurrent', attention: 'attention', merge: 'merging', input: 'input', model: 'inner model', other: 'others', unknown: 'unknown to ckpt'};
  const legend = element('p', {class: 'legend'}, Object.keys(words).filter(kind => used.has(kind)).map(kind => element('span', {}, element('i', {class: 'k-' + kind}), words[kind])));
  const buttons = models.length ? element('p', {class: 'choices'}, ['Open', 'Fold'].map(word => element('button', {type: 'button', id: word === 'Open' ? 'graph-open' : 'graph-fold', onclick: () => {
    if (word === 'Open') for (const model of models) opened.add(model.path); else opened.clear();
    redraw();
  }}, `${word} all inner models`))) : null;
  section('architecture', 'Architecture', `${plural(keras.layers.length - models.length, 'layer')}: how they are connected`,
    'From the inputs down. Behind each layer: the shape of one row of what it returns, and its parameters. A click shows its tensors.', legend, buttons, holder);
  let width = 0;
  const redraw = () => { if (width) holder.replaceChildren(drawGraph(root, width, opened, redraw)); };
  onWidth(holder, found => { width = found; redraw(); });
}

/** A node for each application of each layer of one model; those after the first have the first's weights. */
function graphNodes(layers) {
  return layers.flatMap(layer => (layer.connected_to.length ? layer.connected_to : [[]]).map((sources, call) =>
    ({...layer, sources, call, inner: call ? null : layer.inner, isModel: Boolean(layer.inner), key: call ? `${layer.key}:${call}` : layer.key})));
}

/** Edges between nodes: [from, to], by place. */
function graphEdges(nodes) {
  const places = new Map(nodes.map((node, index) => [`${node.call} ${node.name}`, index])), edges = new Map();
  nodes.forEach((node, to) => {
    for (const source of node.sources) {
      const from = places.get(`${source.call} ${source.layer}`);
      if (from === undefined || from === to) continue;
      edges.set(`${from} ${to}`, [from, to]);
    }
  });
  return [...edges.values()];
}

/** Layers that follow each other without branches as one box; inner models stand alone. */
function graphBoxes(nodes, edges) {
  const into = nodes.map(() => []), out = nodes.map(() => []);
  for (const [from, to] of edges) { into[to].push(from); out[from].push(to); }
  const isLink = (from, to) => out[from].length === 1 && into[to].length === 1 && !nodes[from].isModel && !nodes[to].isModel;
  const boxes = [], boxOf = new Array(nodes.length).fill(-1);
  // In the file's order a layer may stand before what it takes.
  nodes.forEach((node, index) => {
    if (boxOf[index] >= 0 || (into[index].length === 1 && isLink(into[index][0], index))) return;
    const members = [];
    for (let at = index; at !== undefined && boxOf[at] < 0; at = out[at].length === 1 && isLink(at, out[at][0]) ? out[at][0] : undefined) { boxOf[at] = boxes.length; members.push(nodes[at]); }
    boxes.push({members});
  });
  nodes.forEach((node, index) => { if (boxOf[index] < 0) { boxOf[index] = boxes.length; boxes.push({members: [node]}); } });
  const joined = new Map();
  for (const [from, to] of edges) if (boxOf[from] !== boxOf[to]) joined.set(`${boxOf[from]} ${boxOf[to]}`, [boxOf[from], boxOf[to]]);
  return {boxes, edges: [...joined.values()]};
}

/** The rank of each box: the longest way to it; inputs stand right above what takes from them first. */
function graphRanks(count, edges) {
  const into = Array.from({length: count}, () => []), out = Array.from({length: count}, () => []), rank = new Array(count).fill(0);
  for (const [from, to] of edges) { into[to].push(from); out[from].push(to); }
  const waiting = into.map(list => list.length), ready = waiting.flatMap((number, index) => number ? [] : [index]);
  for (let next = 0; next < ready.length; next += 1) {
    const at = ready[next];
    for (const to of out[at]) {
      rank[to] = Math.max(rank[to], rank[at] + 1);
      waiting[to] -= 1;
      if (waiting[to] === 0) ready.push(to);
    }
  }
  for (let index = 0; index < count; index += 1) if (!into[index].length && out[index].length) rank[index] = Math.max(0, Math.min(...out[index].map(to => rank[to])) - 1);
  return rank;
}

/** Places in order, as near as can be to where they want to be: pool adjacent violators. */
function graphSpread(wanted, weights, sizes, gap) {
  const starts = [0];
  for (let index = 1; index < wanted.length; index += 1) starts.push(starts[index - 1] + (sizes[index - 1] + sizes[index]) / 2 + gap);
  const blocks = [];
  wanted.forEach((want, index) => {
    blocks.push({sum: (want - starts[index]) * weights[index], weight: weights[index], count: 1});
    while (blocks.length > 1 && blocks[blocks.length - 2].sum / blocks[blocks.length - 2].weight > blocks[blocks.length - 1].sum / blocks[blocks.length - 1].weight) {
      const last = blocks.pop(), before = blocks[blocks.length - 1];
      before.sum += last.sum; before.weight += last.weight; before.count += last.count;
    }
  });
  const found = [];
  for (const block of blocks) for (let index = 0; index < block.count; index += 1) found.push(block.sum / block.weight + starts[found.length]);
  return found;
}

/** Boxes with places: {boxes: [{x, y, width, height, members}], paths: [[x, y]…], width, height}. */
function graphLayout(layers, room, opened, depth) {
  const nodes = graphNodes(layers), {boxes, edges} = graphBoxes(nodes, graphEdges(nodes)), rank = graphRanks(boxes.length, edges);
  const columns = new Map();
  for (const at of rank) columns.set(at, (columns.get(at) || 0) + 1);
  const most = Math.max(...columns.values()), gap = 18, lane = 8;
  const wide = Math.max(210, Math.min(depth ? 400 : 460, Math.floor((room - 2 * 26 - gap * (most - 1)) / most)));
  const isShort = wide < 330, line = isShort ? 36 : 23;
  for (const box of boxes) {
    const [only] = box.members;
    box.line = line; box.isShort = isShort;
    if (only.inner && opened.has(only.key)) {
      box.layout = graphLayout(only.inner, Math.max(240, Math.min(room - 40, 900)), opened, depth + 1);
      box.width = Math.max(wide, box.layout.width + 24);
      box.height = 38 + box.layout.height + 14;
    } else { box.width = wide; box.height = box.members.length * line + 8; }
  }
  // A member for each box, and for each rank that a way passes.
  const members = boxes.map((box, index) => ({box, rank: rank[index], width: box.width, up: [], down: [], weight: 1}));
  const ways = edges.map(([from, to]) => {
    const way = [from];
    for (let at = rank[from] + 1; at < rank[to]; at += 1) { way.push(members.length); members.push({rank: at, width: lane, up: [], down: [], weight: 1}); }
    way.push(to);
    for (let index = 1; index < way.length; index += 1) { members[way[index - 1]].down.push(way[index]); members[way[index]].up.push(way[index - 1]); }
    return way;
  });
  const ranks = Array.from({length: Math.max(...rank) + 1}, () => []);
  members.forEach((member, index) => ranks[member.rank].push(index));
  const place = new Array(members.length);
  const settle = () => ranks.forEach(list => list.forEach((index, at) => { place[index] = at; }));
  const crossings = () => {
    let count = 0;
    for (const list of ranks) {
      const ends = list.flatMap(index => members[index].down.map(to => place[to]).sort((a, b) => a - b));
      if (ends.length > 400) return 0;
      for (let a = 0; a < ends.length; a += 1) for (let b = a + 1; b < ends.length; b += 1) if (ends[a] > ends[b]) count += 1;
    }
    return count;
  };
  settle();
  let best = ranks.map(list => [...list]), least = crossings();
  for (let turn = 0; turn < 12 && least > 0; turn += 1) {
    const isDown = turn % 2 === 0;
    for (const list of isDown ? ranks : [...ranks].reverse()) {
      const want = new Map(list.map(index => { const near = isDown ? members[index].up : members[index].down; return [index, near.length ? sum(near.map(at => place[at])) / near.length : place[index]]; }));
      list.sort((a, b) => want.get(a) - want.get(b) || place[a] - place[b]);
      list.forEach((index, at) => { place[index] = at; });
    }
    const found = crossings();
    if (found < least) { least = found; best = ranks.map(list => [...list]); }
  }
  best.forEach((list, index) => { ranks[index] = list; });
  settle();
  const x = new Array(members.length).fill(0);
  for (let turn = 0; turn < 16; turn += 1) {
    const isDown = turn % 2 === 0;
    for (const list of isDown ? ranks : [...ranks].reverse()) {
      const wanted = list.map(index => {
        const near = turn > 7 ? [...members[index].up, ...members[index].down] : isDown ? members[index].up : members[index].down;
        return near.length ? sum(near.map(at => x[at])) / near.length : x[index];
      });
      const found = graphSpread(wanted, list.map(index => members[index].weight), list.map(index => members[index].width), gap);
      list.forEach((index, at) => { x[index] = found[at]; });
    }
  }
  const left = Math.min(...members.map((member, index) => x[index] - member.width / 2)), right = Math.max(...members.map((member, index) => x[index] + member.width / 2));
  const tops = [], between = 26;
  let y = 0;
  for (const list of ranks) { tops.push(y); y += Math.max(...list.map(index => members[index].box ? members[index].box.height : 0)) + between; }
  members.forEach((member, index) => { if (member.box) { member.box.x = x[index] - left - member.width / 2; member.box.y = tops[member.rank]; } });
  const paths = ways.map(way => way.flatMap((index, at) => {
    const member = members[index], middle = x[index] - left;
    const end = member.rank + 1 < tops.length ? tops[member.rank + 1] - between : y - between;
    // Straight down beside higher boxes, then across.
    if (at === 0) return [[middle, member.box.y + member.box.height], [middle, end]];
    if (at === way.length - 1) return [[middle, member.box.y]];
    return [[middle, tops[member.rank]], [middle, end]];
  }));
  return {boxes, paths, width: right - left, height: Math.max(0, y - between)};
}

function drawGraph(root, room, opened, redraw) {
  const layout = graphLayout(root.inner, room, opened, 0), margin = 4;
  const width = Math.max(layout.width + 2 * margin, Math.min(room, 300)), height = layout.height + 2 * margin;
  const svg = drawing('svg', {viewBox: `0 0 ${Math.ceil(width)} ${Math.ceil(height)}`, width: Math.ceil(width), height: Math.ceil(height), role: 'group', 'aria-label': 'Layers and what they take'});
  graphGroup(svg, layout, margin, margin, opened, redraw);
  return svg;
}

function graphGroup(svg, layout, dx, dy, opened, redraw) {
  for (const points of layout.paths) {
    let d = '';
    points.forEach(([x, y], index) => {
      if (index === 0) { d += `M${x + dx} ${y + dy}`; return; }
      const [before, above] = points[index - 1], bend = Math.min(22, (y - above) / 2), last = index === points.length - 1 ? 5 : 0;
      d += x === before ? `V${y + dy - last}` : `C${before + dx} ${above + dy + bend} ${x + dx} ${y + dy - bend - last} ${x + dx} ${y + dy - last}`;
    });
    const [x, y] = points[points.length - 1];
    svg.append(drawing('path', {class: 'wire', d}), drawing('path', {class: 'tip', d: `M${x + dx - 4} ${y + dy - 6}L${x + dx + 4} ${y + dy - 6}L${x + dx} ${y + dy}z`}));
  }
  for (const box of layout.boxes) {
    const x = box.x + dx, y = box.y + dy;
    svg.append(drawing('rect', {class: box.layout ? 'frame' : box.members.every(node => node.call) ? 'box again' : 'box', x: x + 0.5, y: y + 0.5, width: box.width - 1, height: box.height - 1, rx: 6}));
    box.members.forEach((node, index) => svg.append(graphLine(node, x, y + 4 + index * box.line, box, opened, redraw)));
    if (box.layout) graphGroup(svg, box.layout, x + (box.width - box.layout.width) / 2, y + 38, opened, redraw);
  }
}

/** A layer: colour, name, class, shape, parameters. */
function graphLine(node, x, y, box, opened, redraw) {
  const isOpen = node.inner && opened.has(node.key), isShort = box.isShort && !box.layout, height = box.layout ? 28 : box.line;
  const parameters = node.call ? (node.parameters ? 'same weights' : '') : node.parameters === null ? '?' : node.parameters ? millions(node.parameters) : '', shape = graphShape(node.output_shapes);
  const frozen = node.parameters && node.trainable_parameters === 0 ? ', not trained' : '';
  const title = [`${node.path} (${node.class})`, `returns ${node.output_shapes.map(shape => '(' + shape.map(extent => extent === null ? 'None' : extent).join(', ') + ')').join(', ') || 'a shape that is not known'}`,
    node.parameters ? `${plural(node.parameters, 'parameter')}${frozen}` : 'no parameters', node.connected_to.length > 1 ? `applied ${node.connected_to.length} times with the same weights` : null, node.reason].filter(Boolean).join('\n');
  const room = box.width - 22, fit = (text, size, letter) => { const most = Math.max(4, Math.floor(size / letter)); return text.length <= most ? text : text.slice(0, Math.ceil(most / 2) - 1) + '…' + text.slice(text.length - Math.floor(most / 2)); };
  const act = () => { if (node.inner) { if (isOpen) opened.delete(node.key); else opened.add(node.key); redraw(); const again = document.querySelector(`#graph [data-key="${CSS.escape(node.key)}"]`); if (again) again.focus({preventScroll: true}); } else showTensors(node.path + '.'); };
  const hasAction = node.inner || node.parameters;
  const group = drawing('g', {class: 'layer' + (hasAction ? ' go' : ''), 'data-key': node.key, role: node.inner ? 'button' : hasAction ? 'link' : null, tabindex: hasAction ? 0 : null, 'aria-expanded': node.inner ? String(Boolean(isOpen)) : null,
    'aria-label': `${node.name}, ${node.class}, ${shape}${parameters ? `, ${parameters}${node.call ? '' : ' parameters'}` : ''}`, onclick: hasAction ? act : null,
    onkeydown: hasAction ? event => { if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); act(); } } : null}, drawing('title', {}, title),
    drawing('rect', {class: 'under', x: x + 2, y, width: box.width - 4, height}), drawing('rect', {class: 'k-' + graphKind(node), x: x + 6, y: y + 4, width: 5, height: height - 8, rx: 1.5}));
  const mark = node.inner ? (isOpen ? '▾ ' : '▸ ') : '', times = node.call ? `:${node.call}` : '';
  const baseline = y + (box.layout ? 19 : 16);
  const bold = {'font-size': 12.5, 'font-weight': node.inner ? 650 : 500};
  if (isShort) {
    group.append(drawing('text', {x: x + 17, y: baseline - 1, ...bold}, fit(mark + node.name + times, room, 7)),
      drawing('text', {class: 'soft', x: x + 17, y: baseline + 14, 'font-size': 11}, fit([node.class, shape, parameters].filter(Boolean).join(' · '), room, 5.9)));
  } else {
    const right = [shape, parameters].filter(Boolean).join(' · '), taken = Math.min(right.length * 6.1 + 12, room * 0.55), left = room - taken;
    const name = fit(mark + node.name + times, left, 7), rest = left - name.length * 7 - 8;
    group.append(drawing('text', {x: x + 17, y: baseline, ...bold}, name, node.class !== node.name && rest > 40 ? drawing('tspan', {class: 'soft', 'font-weight': 400, 'font-size': 11.5, dx: 7}, fit(node.class, rest, 6.4)) : null),
      drawing('text', {class: 'soft', x: x + box.width - 9, y: baseline, 'font-size': 11.5, 'text-anchor': 'end'}, fit(right, taken, 6.1)));
  }
  return group;
}
