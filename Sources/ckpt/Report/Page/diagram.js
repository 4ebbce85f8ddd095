'use strict';
// The drawing of a known family: from the inputs down to the heads.

function diagramSection() {
  const stages = data.model.diagram;
  if (!stages) return;
  const holder = element('div', {class: 'drawing', id: 'diagram'});
  section('architecture', 'Architecture', `How ${data.model.family} is built`,
    'From the token ids down to the heads. Shapes are rows × columns; a kernel counts with its bias. One block is drawn of those that repeat.', holder);
  onWidth(holder, width => holder.replaceChildren(drawDiagram(stages, Math.min(width, 980))));
}

function drawDiagram(stages, width) {
  const root = drawing('svg', {role: 'img', 'aria-label': 'Architecture: ' + stages.map(stage => stage.title).join(', ')});
  const whole = Math.max(1, sum(stages.map(stage => stage.parameters)));
  const isNarrow = width < 620, side = isNarrow ? 0 : 150, room = width - side, gap = 22, pad = 14;
  let y = 4;
  const text = (x, at, words, options = {}) => drawing('text', {x, y: at, 'font-size': 12.5, ...options}, words);
  const box = (kind, x, at, w, h, r = 5) => drawing('rect', {class: kind, x: x + 0.5, y: at + 0.5, width: Math.max(0, w - 1), height: Math.max(0, h - 1), rx: r});
  const wire = d => root.append(drawing('path', {class: 'wire', d}));
  const arrow = (x, from, to) => { wire(`M${x} ${from}V${to - 4}`); root.append(drawing('path', {class: 'tip', d: `M${x - 4} ${to - 6}L${x + 4} ${to - 6}L${x} ${to}z`})); };

  /** Chips for parts, wrapped; returns the height. */
  const chips = (parts, x, at, w, isDrawn = true) => {
    let left = x, line = 0;
    for (const part of parts) {
      const label = part.label, shape = shapeText(part.shape), size = Math.min(w, label.length * 7.1 + shape.length * 6.2 + (label ? 22 : 14));
      if (left + size > x + w + 0.5 && left > x) { left = x; line += 1; }
      if (isDrawn) {
        root.append(drawing('g', {}, drawing('title', {}, `${label}: ${shape}, ${grouped(part.parameters)} parameters`),
          box('chip', left, at + line * 27, size, 22, 4),
          drawing('text', {x: left + 7, y: at + line * 27 + 15, 'font-size': 11.5}, label, drawing('tspan', {class: 'soft', dx: label ? 7 : 0, 'font-size': 10.5}, shape))));
      }
      left += size + 6;
    }
    return parts.length ? (line + 1) * 27 - 5 : 0;
  };
  const isSlim = layer => layer.kind === 'norm' || layer.kind === 'add';
  const slimHeight = 28;
  const layerHeight = (layer, w) => isSlim(layer) ? slimHeight : 34 + (layer.parts.length ? chips(layer.parts, 0, 0, w - 2 * pad, false) + 12 : 0);

  const drawLayer = (layer, x, at, w) => {
    const h = layerHeight(layer, w);
    root.append(box(isSlim(layer) ? 'slim' : 'box', x, at, w, h));
    if (isSlim(layer)) {
      const count = sum(layer.parts.map(part => part.parameters)), note = count ? ` · ${layer.parts.map(part => shapeText(part.shape)).join(', ')}` : '';
      root.append(drawing('text', {x: x + w / 2, y: at + 18, 'font-size': 12, 'text-anchor': 'middle'}, layer.title, drawing('tspan', {class: 'soft', 'font-size': 10.5}, note)));
    } else {
      const title = layer.title || '';
      root.append(drawing('text', {x: x + pad, y: at + 22, 'font-size': 13, 'font-weight': 600}, title, drawing('tspan', {class: 'soft', 'font-weight': 400, dx: 9, 'font-size': 12}, layer.note)));
      chips(layer.parts, x + pad, at + 34, w - 2 * pad);
    }
    return h;
  };
  /** What a stage weighs, at its right or under its title. */
  const weight = (stage, at) => {
    if (!side || !stage.parameters) return;
    root.append(text(room + 18, at + 20, millions(stage.parameters), {'font-size': 15, 'font-weight': 600}),
      text(room + 18, at + 38, `${percent(stage.parameters / whole)} of parameters`, {class: 'soft', 'font-size': 11.5}),
      drawing('rect', {x: room + 18, y: at + 45, width: side - 24, height: 5, rx: 2, fill: 'var(--sunk)'}),
      drawing('rect', {x: room + 18, y: at + 45, width: Math.max(1, (side - 24) * stage.parameters / whole), height: 5, rx: 2, fill: 'var(--fill)'}));
  };
  const told = stage => [stage.note, isNarrow && stage.parameters ? `${millions(stage.parameters)} · ${percent(stage.parameters / whole)}` : ''].filter(Boolean).join(' · ');

  const middle = room / 2;
  root.append(text(middle, y + 13, 'token ids', {'text-anchor': 'middle', class: 'soft'}));
  y += 19;
  const heads = stages.filter(stage => stage.kind === 'head'), trunk = stages.filter(stage => stage.kind !== 'head');
  for (const stage of trunk) {
    arrow(middle, y, y + gap);
    y += gap;
    const start = y, inset = stage.kind === 'norm' ? 0 : isNarrow ? 10 : 34, lane = room - 2 * inset;
    const inner = stage.layers.map(layer => layerHeight(layer, lane));
    if (stage.kind === 'norm') {
      y += drawLayer({...stage.layers[0], kind: 'norm', title: stage.title}, 0, y, room);
      weight(stage, start - 14);
      continue;
    }
    const between = 16, headed = isNarrow && told(stage) ? 52 : 36, height = headed + sum(inner) + between * (inner.length + 1);
    root.append(box('frame', 0, y, room, height, 8));
    root.append(drawing('text', {x: pad, y: y + 24, 'font-size': 14.5, 'font-weight': 650}, stage.title,
      stage.times > 1 ? drawing('tspan', {dx: 7}, `× ${stage.times}`) : null, isNarrow ? null : drawing('tspan', {class: 'soft', 'font-weight': 400, dx: 10, 'font-size': 12}, told(stage))));
    if (isNarrow) root.append(text(pad, y + 42, told(stage), {class: 'soft', 'font-size': 11.5}));
    let at = y + headed;
    const tops = [];
    stage.layers.forEach((layer, index) => {
      arrow(middle, at, at + between);
      at += between;
      tops.push(at);
      // The way around what is added to.
      if (layer.from !== null && layer.from !== undefined) {
        const from = tops[layer.from] - between / 2 - 1, x = inset / 2, to = at + inner[index] / 2;
        wire(`M${middle} ${from}H${x + 6}Q${x} ${from} ${x} ${from + 6}V${to - 6}Q${x} ${to} ${x + 6} ${to}H${inset - 4}`);
        root.append(drawing('path', {class: 'tip', d: `M${inset - 6} ${to - 4}L${inset - 6} ${to + 4}L${inset} ${to}z`}));
      }
      drawLayer(layer, inset, at, lane);
      at += inner[index];
    });
    wire(`M${middle} ${at}V${y + height}`);
    weight(stage, start);
    y += height;
  }
  if (heads.length) {
    // Side by side where they fit, otherwise one below the other along a line.
    const isRow = (room - (heads.length - 1) * 14) / heads.length >= 185;
    const indent = isRow ? 0 : 22, wide = isRow ? (room - (heads.length - 1) * 14) / heads.length : room - indent;
    const heightOf = head => 66 + (head.layers.length ? chips(head.layers[0].parts, 0, 0, wide - 2 * pad, false) + 10 : 0);
    const tall = Math.max(...heads.map(heightOf));
    const from = y;
    let top = y + gap + 6;
    wire(`M${middle} ${from}V${from + 10}`);
    heads.forEach((head, index) => {
      const x = isRow ? index * (wide + 14) : indent, h = isRow ? tall : heightOf(head);
      if (isRow) {
        if (x + wide / 2 !== middle) wire(`M${middle} ${from + 10}H${x + wide / 2}`);
        arrow(x + wide / 2, from + 10, top);
      } else {
        wire(`M${middle} ${from + 10}H14Q8 ${from + 10} 8 ${from + 16}V${top + 20}H${indent - 5}`);
        root.append(drawing('path', {class: 'tip', d: `M${indent - 6} ${top + 16}L${indent - 6} ${top + 24}L${indent} ${top + 20}z`}));
      }
      root.append(box('box', x, top, wide, h));
      root.append(text(x + pad, top + 22, head.title, {'font-size': 13, 'font-weight': 600}), text(x + pad, top + 39, head.note, {class: 'soft', 'font-size': 11.5}));
      if (head.layers.length) chips(head.layers[0].parts, x + pad, top + 49, wide - 2 * pad);
      root.append(text(x + pad, top + h - 10, head.parameters ? `${millions(head.parameters)} · ${percent(head.parameters / whole)}` : 'no weights of its own', {class: 'soft', 'font-size': 11}));
      if (!isRow) top += h + 12;
    });
    y = isRow ? top + tall : top - 12;
  }
  const height = Math.ceil(y + 6);
  root.setAttribute('viewBox', `0 0 ${width} ${height}`);
  root.setAttribute('width', width);
  root.setAttribute('height', height);
  return root;
}
