'use strict';
// The same weight in every layer, side by side.

/** Weights that stand in several layers: [{role, rank, points: [{layer, tensor}]}] in the file's order. */
function roles() {
  const found = new Map();
  for (const tensor of data.tensors) {
    const at = place(tensor);
    if (!at || tensor.note) continue;
    const key = at.role + ' ' + tensor.shape.length;
    if (!found.has(key)) found.set(key, {role: at.role, rank: tensor.shape.length, points: []});
    found.get(key).points.push({layer: at.layer, tensor});
  }
  // Names of no known family may count anything; two of them are no stack.
  const least = data.model.family ? 2 : 3;
  const all = [...found.values()].filter(role => new Set(role.points.map(point => point.layer)).size === role.points.length && role.points.length >= least);
  for (const role of all) role.points.sort((a, b) => a.layer - b.layer);
  // In the family's order, where it has one.
  const order = role => role.points[0].tensor.order ?? Infinity;
  return all.map((role, index) => [role, index]).sort(([a, i], [b, j]) => order(a) === order(b) ? i - j : order(a) - order(b)).map(([role]) => role);
}

/** What the names of all roles begin with, up to the layer's number. */
function sharedStart(all) {
  const starts = new Set(all.map(role => role.role.slice(0, role.role.indexOf('*') + 1)));
  return starts.size === 1 ? [...starts][0].length + 1 : 0;
}

function layersSection() {
  const all = roles().filter(role => role.points.every(point => point.tensor.quantiles));
  if (!all.length) return;
  const parts = data.change ? changeParts() : ownParts(), start = sharedStart(all);
  const cards = some => element('div', {class: 'cards'}, some.map(role => layerPlot(role.role.slice(start), role.points, parts.plots(role), point => parts.read(role, point), point => showTensors(point.tensor.name, true))));
  // What has not moved needs no plot.
  const still = data.change ? all.filter(role => role.points.every(point => !point.tensor.change || point.tensor.change.relative_norm === 0)) : [];
  if (still.length === all.length) return;
  const matrices = all.filter(role => role.rank > 1 && !still.includes(role)), vectors = all.filter(role => role.rank < 2 && !still.includes(role));
  const count = Math.max(...all.map(role => role.points.length));
  section('layers', 'Layers', data.change ? `How far each of ${count} layers has moved` : `How ${count} layers differ`, parts.lead, parts.legend,
    matrices.length ? cards(matrices) : null,
    vectors.length ? element('details', {open: matrices.length ? null : true}, element('summary', {}, `Vectors: ${plural(vectors.length, 'bias or norm', 'biases and norms')}`), cards(vectors)) : null,
    still.length ? element('p', {class: 'note'}, 'The same in both, in every layer: ', element('span', {class: 'mono'}, still.map(role => role.role.slice(start)).join(', '))) : null);
}

function ownParts() {
  const quantile = index => point => point.tensor.quantiles[index];
  const outer = point => [quantile(1)(point), quantile(7)(point)], inner = point => [quantile(2)(point), quantile(6)(point)];
  return {
    lead: 'One plot for each weight, the layers from left to right: how large it is as a whole, and how its numbers are spread. What leaves its neighbours is worth a look. Arrow keys read a plot, Enter opens the tensor.',
    legend: element('div', {class: 'legend'}, element('span', {}, element('i', {class: 'l'}), 'L2 norm; median'), element('span', {}, element('i', {class: 'band'}), '5 % to 95 % of the numbers'), element('span', {}, element('i', {class: 'outer'}), '1 % to 99 %')),
    plots: () => [linePart('L2 norm', point => point.tensor.l2), bandPart('spread of the numbers', outer, inner, quantile(4))],
    read(role, point) {
      if (point) return `layer ${point.layer}: norm ${number(point.tensor.l2)}, standard deviation ${number(point.tensor.std)}, 1 % ${number(quantile(1)(point), 3)} to 99 % ${number(quantile(7)(point), 3)}`;
      const norms = role.points.map(each => each.tensor.l2);
      return `${shapeText(role.points[0].tensor.shape)}; norm ${number(Math.min(...norms), 3)} to ${number(Math.max(...norms), 3)}`;
    },
  };
}

function changeParts() {
  const change = point => point.tensor.change || {};
  return {
    lead: 'One plot for each weight, the layers from left to right: how far it has moved against its own size, and the L2 norm of both. Arrow keys read a plot, Enter opens the tensor.',
    legend: element('div', {class: 'legend'}, element('span', {}, element('i', {class: 'l'}), 'relative change; norm of the first'), element('span', {}, element('i', {class: 'l b'}), 'norm of the second')),
    plots: () => [linePart('‖Δ‖ / ‖first‖', point => change(point).relative_norm ?? 0), linePart('L2 norm', point => point.tensor.l2, point => point.tensor.other && point.tensor.other.l2)],
    read(role, point) {
      if (point) return `layer ${point.layer}: relative change ${number(change(point).relative_norm)}, max |Δ| ${number(change(point).max_abs)}, cosine ${number(change(point).cosine, 6)}`;
      const sizes = role.points.map(each => change(each).relative_norm ?? 0);
      return `${shapeText(role.points[0].tensor.shape)}; relative change ${number(Math.min(...sizes), 3)} to ${number(Math.max(...sizes), 3)}`;
    },
  };
}
