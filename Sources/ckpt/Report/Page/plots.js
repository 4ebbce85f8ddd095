'use strict';
// Histograms, lines over layers, heat maps.

/** A row of bars as one path, for a table's cell. */
function sparkline(histogram) {
  const counts = histogram.counts, most = Math.max(...counts), width = 88 / counts.length;
  let path = '';
  if (counts.length === 1) path = 'M42 20v-19h4v19z';
  else counts.forEach((count, index) => {
    if (!count) return;
    const height = Math.max(1, 19 * count / most);
    path += `M${(index * width).toFixed(1)} 20v${-height.toFixed(1)}h${width.toFixed(1)}v${height.toFixed(1)}z`;
  });
  return drawing('svg', {class: 'spark', viewBox: '0 0 88 20', 'aria-hidden': 'true'}, drawing('path', {d: path}));
}

/** About `count` round numbers between two. */
function ticks(low, high, count) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(size => size >= rough);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) found.push(Math.abs(value) < step * 1e-9 ? 0 : value);
  return found;
}

/** A tick as short as it can be, with as many digits as tell it from its neighbours. */
function tickText(value, step) {
  if (value === 0 || !(step > 0)) return short(value);
  const digits = Math.max(1, Math.min(9, Math.floor(Math.log10(Math.abs(value))) - Math.floor(Math.log10(step)) + 1));
  return short(value, digits);
}
const short = (value, digits = 3) => number(Number(value.toPrecision(digits)), digits).replace(/(\.\d*?)0+(?=$|e)/, '$1').replace(/\.(?=$|e)/, '');

/** A large histogram with median and quantiles marked; a second one is drawn over it as an outline. */
function histogramPlot(tensor, other) {
  const width = 640, height = 210, left = 8, bottom = 24, top = 16;
  const all = [tensor, other].filter(one => one && one.histogram);
  let low = Math.min(...all.map(one => one.histogram.low)), high = Math.max(...all.map(one => one.histogram.high));
  if (!(high > low)) { const pad = Math.abs(low) * 0.5 || 1; low -= pad; high += pad; }
  const x = value => left + (value - low) / (high - low) * (width - 2 * left);
  const root = drawing('svg', {class: 'plot', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `Histogram of ${tensor.name}`});
  const marks = ticks(low, high, 8);
  for (const tick of marks) {
    root.append(drawing('line', {class: 'grid', x1: x(tick), x2: x(tick), y1: top, y2: height - bottom}),
      drawing('text', {x: x(tick), y: height - 8, 'text-anchor': 'middle'}, tickText(tick, marks[1] - marks[0])));
  }
  all.forEach((one, order) => {
    const {counts, low: from, high: to} = one.histogram;
    const span = to > from ? (to - from) / counts.length : 0;
    // Density, so that bars of two widths can be compared.
    const most = Math.max(...all.map(each => Math.max(...each.histogram.counts) / sum(each.histogram.counts) / binWidth(each, high - low)));
    let path = order === 1 ? `M${x(from).toFixed(1)} ${height - bottom}` : '';
    counts.forEach((count, index) => {
      const density = count / sum(counts) / binWidth(one, high - low);
      const bar = (height - bottom - top) * density / most;
      const begin = span ? x(from + span * index) : x(from) - 3, end = span ? x(from + span * (index + 1)) : x(from) + 3;
      if (order === 1) path += `L${begin.toFixed(1)} ${(height - bottom - bar).toFixed(1)}H${end.toFixed(1)}`;
      else if (count) path += `M${begin.toFixed(1)} ${height - bottom}v${-Math.max(1, bar).toFixed(1)}H${Math.max(begin + 0.5, end - 0.7).toFixed(1)}V${height - bottom}z`;
    });
    if (order === 1) path += `V${height - bottom}`;
    root.append(drawing('path', {class: order === 1 ? 'bar b' : 'bar', d: path}));
  });
  root.append(drawing('line', {class: 'grid', x1: 0, x2: width, y1: height - bottom, y2: height - bottom}));
  if (tensor.quantiles && tensor.histogram.high > tensor.histogram.low) {
    for (const [index, label] of [[1, 'p1'], [4, 'median'], [7, 'p99']]) {
      const at = x(tensor.quantiles[index]);
      root.append(drawing('line', {class: 'mark', x1: at, x2: at, y1: top, y2: height - bottom}),
        drawing('text', {x: at, y: top - 5, 'text-anchor': at < 30 ? 'start' : at > width - 30 ? 'end' : 'middle'}, label));
    }
  }
  return root;
}

const sum = values => values.reduce((a, b) => a + b, 0);
const binWidth = (tensor, whole) => (tensor.histogram.high - tensor.histogram.low || whole) / tensor.histogram.counts.length;

/**
 * Values over layers in two parts that share their axis.
 *
 * points: [{layer, ...}]; parts: [{title, low(point), high(point), draw}] made by `linePart` and `bandPart`.
 * `read` says a point in words, under the pointer or the keys.
 */
function layerPlot(title, points, parts, read, open) {
  const width = 320, left = 44, right = 8, each = 78, gap = 16, bottom = 18;
  const height = parts.length * (each + gap) + bottom;
  const first = points[0].layer, last = points[points.length - 1].layer;
  const x = layer => last > first ? left + (layer - first) / (last - first) * (width - left - right) : (left + width - right) / 2;
  const root = drawing('svg', {class: 'plot', viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: 'img',
    'aria-label': `${title}: ${parts.map(part => part.title).join(' and ')} by layer. Arrow keys read the layers.`});
  parts.forEach((part, index) => {
    const top = index * (each + gap) + gap - 2, base = top + each;
    let low = Math.min(...points.map(part.low)), high = Math.max(...points.map(part.high));
    if (part.fromZero) { low = Math.min(0, low); high = Math.max(0, high); }
    if (!(high > low)) { const pad = Math.abs(low) * 0.1 || 1; low -= part.fromZero ? 0 : pad; high += pad; }
    const y = value => base - (value - low) / (high - low) * each;
    const marks = ticks(low, high, 3);
    for (const tick of marks) {
      root.append(drawing('line', {class: 'grid', x1: left, x2: width - right, y1: y(tick), y2: y(tick)}),
        drawing('text', {x: left - 5, y: y(tick) + 3.5, 'text-anchor': 'end'}, tickText(tick, marks[1] - marks[0])));
    }
    root.append(drawing('text', {x: left, y: top - 4}, part.title));
    part.draw(root, points, x, y);
  });
  // Layers at equal steps, as many as there is room for.
  const step = [1, 2, 3, 4, 5, 10, 20, 25, 50, 100].find(size => (last - first) / size <= 7) || last - first;
  const labelled = [];
  for (let layer = first; layer <= last; layer += step) labelled.push(layer);
  for (const layer of labelled) root.append(drawing('text', {x: x(layer), y: height - 5, 'text-anchor': 'middle'}, String(layer)));
  const cursor = drawing('line', {class: 'cursor', y1: gap - 2, y2: height - bottom});
  root.append(cursor);
  const said = element('p', {class: 'read'});
  const summary = () => { said.textContent = read(null); root.classList.remove('on'); };
  let at = -1;
  const show = index => {
    at = Math.max(0, Math.min(points.length - 1, index));
    cursor.setAttribute('x1', x(points[at].layer));
    cursor.setAttribute('x2', x(points[at].layer));
    root.classList.add('on');
    said.textContent = read(points[at]);
  };
  root.addEventListener('pointermove', event => {
    const box = root.getBoundingClientRect(), where = (event.clientX - box.left) / box.width * width;
    let best = 0;
    points.forEach((point, index) => { if (Math.abs(x(point.layer) - where) < Math.abs(x(points[best].layer) - where)) best = index; });
    show(best);
  });
  root.addEventListener('pointerleave', summary);
  root.addEventListener('blur', summary);
  root.addEventListener('click', () => at >= 0 && open(points[at]));
  root.addEventListener('keydown', event => {
    const move = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: points.length - 1}[event.key];
    if (move !== undefined) { show(move); event.preventDefault(); }
    else if (event.key === 'Enter' && at >= 0) {
      // Focus goes to a button, which would take the rest of the key.
      event.preventDefault();
      open(points[at]);
    }
  });
  summary();
  return element('div', {class: 'card'}, element('h4', {}, title), said, root);
}

/** A line with dots; a second value makes a second line. */
function linePart(title, value, second) {
  const values = point => [value(point), second ? second(point) : null].filter(one => one !== null && one !== undefined);
  return {title, fromZero: true, low: point => Math.min(...values(point)), high: point => Math.max(...values(point)), draw(root, points, x, y) {
    [value, second].forEach((get, order) => {
      if (!get) return;
      const some = points.filter(point => get(point) !== null && get(point) !== undefined), style = order ? ' b' : '';
      root.append(drawing('path', {class: 'line' + style, d: 'M' + some.map(point => `${x(point.layer).toFixed(1)} ${y(get(point)).toFixed(1)}`).join('L')}));
      if (points.length <= 48) for (const point of some) root.append(drawing('circle', {class: 'dot' + style, cx: x(point.layer), cy: y(get(point)), r: 2.2}));
    });
  }};
}

/** Ranges of values: the outer one, the inner one, and a line. */
function bandPart(title, outer, inner, middle) {
  const area = (points, range, x, y) => {
    const there = points.map(point => `${x(point.layer).toFixed(1)} ${y(range(point)[1]).toFixed(1)}`);
    const back = points.map(point => `${x(point.layer).toFixed(1)} ${y(range(point)[0]).toFixed(1)}`).reverse();
    return 'M' + there.concat(back).join('L') + 'z';
  };
  return {title, low: point => outer(point)[0], high: point => outer(point)[1], draw(root, points, x, y) {
    root.append(drawing('path', {class: 'outer', d: area(points, outer, x, y)}),
      drawing('path', {class: 'band', d: area(points, inner, x, y)}),
      drawing('path', {class: 'line', d: 'M' + points.map(point => `${x(point.layer).toFixed(1)} ${y(middle(point)).toFixed(1)}`).join('L')}));
  }};
}

// Colours of heat maps: light is little in the light theme, dark is little in the dark one

const ramps = {
  light: [[247, 249, 252], [198, 217, 238], [120, 168, 216], [43, 110, 178], [10, 50, 104]],
  dark: [[26, 29, 34], [28, 58, 96], [38, 104, 168], [104, 168, 226], [220, 238, 255]],
  lightSigned: [[160, 72, 20], [226, 160, 112], [250, 249, 246], [134, 178, 224], [18, 84, 160]],
  darkSigned: [[244, 168, 112], [136, 80, 40], [28, 31, 36], [42, 90, 146], [140, 192, 250]],
};
const ramp = isSigned => ramps[(isDark() ? 'dark' : 'light') + (isSigned ? 'Signed' : '')];

/** The colour at a share from 0 to 1. */
function shade(colors, share) {
  const where = Math.max(0, Math.min(1, share)) * (colors.length - 1), index = Math.min(colors.length - 2, Math.floor(where)), part = where - index;
  return colors[index].map((from, channel) => Math.round(from + (colors[index + 1][channel] - from) * part));
}
const css = color => `rgb(${color.join(' ')})`;

/** Black or white, whichever can be read on a colour. */
const onColor = ([r, g, b]) => (0.299 * r + 0.587 * g + 0.114 * b) > 140 ? '#111' : '#fff';

/** Rows of shares from 0 to 1 as a picture, one pixel each, drawn anew when the theme changes. */
function heatMap(rows, isSigned, label, describe) {
  const canvas = element('canvas', {width: rows[0].length, height: rows.length, role: 'img', 'aria-label': label});
  const draw = () => {
    const context = canvas.getContext('2d'), image = context.createImageData(canvas.width, canvas.height), colors = ramp(isSigned);
    rows.forEach((row, y) => row.forEach((share, x) => {
      const start = 4 * (y * canvas.width + x);
      image.data.set(share === null ? [128, 128, 128, 60] : [...shade(colors, share), 255], start);
    }));
    context.putImageData(image, 0, 0);
  };
  draw();
  onTheme.push(draw);
  canvas.addEventListener('pointermove', event => {
    const box = canvas.getBoundingClientRect();
    const x = Math.floor((event.clientX - box.left) / box.width * canvas.width), y = Math.floor((event.clientY - box.top) / box.height * canvas.height);
    if (rows[y] && rows[y][x] !== undefined) describe(y, x);
  });
  canvas.addEventListener('pointerleave', () => describe(null));
  return canvas;
}

/** A ramp's legend: what its ends mean. */
function rampLegend(isSigned, low, high) {
  const bar = element('i', {class: 'ramp'});
  const draw = () => { bar.style.background = `linear-gradient(to right, ${ramp(isSigned).map(css).join(', ')})`; };
  draw();
  onTheme.push(draw);
  return element('span', {}, low, bar, high);
}
