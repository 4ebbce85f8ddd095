'use strict';
// The table of tensors: sorted by a click on a heading, filtered by words, a row opens with a click or Enter.

const quantileAt = index => tensor => tensor.quantiles ? tensor.quantiles[index] : null;
const count = key => ({value: tensor => tensor.count === undefined ? null : tensor[key] || 0, text: value => grouped(value)});

/** Columns: key, heading, what it means, value to sort by, text to show. */
const ownColumns = [
  {key: 'name', label: 'Name', about: 'The name in the file', isText: true, value: tensor => tensor.name},
  {key: 'canonical', label: 'Canonical', about: 'What the weight is for, whatever the framework calls it', isText: true, value: tensor => (tensor.canonical || []).join(', ') || tensor.note || ''},
  {key: 'dtype', label: 'Type', about: 'Type of an element', isText: true, value: tensor => tensor.dtype},
  {key: 'shape', label: 'Shape', about: 'Elements by axis', value: tensor => product(tensor.shape), text: (_, tensor) => shapeText(tensor.shape)},
  {key: 'size', label: 'Size', about: 'Bytes as stored', value: tensor => tensor.bytes, text: value => bytes(value)},
  {key: 'histogram', label: 'Histogram', about: 'The numbers between their 0.1 % and 99.9 % quantiles; sorts by (p99 − p1) / standard deviation, which is 4.65 for a normal distribution and less with heavy tails', value: tensor => tensor.quantiles && tensor.std ? (tensor.quantiles[7] - tensor.quantiles[1]) / tensor.std : null, node: tensor => tensor.histogram ? sparkline(tensor.histogram) : ''},
  {key: 'min', label: 'Min', about: 'Least finite number', value: tensor => tensor.min},
  {key: 'max', label: 'Max', about: 'Greatest finite number', value: tensor => tensor.max},
  {key: 'mean', label: 'Mean', about: 'Mean of the finite numbers', value: tensor => tensor.mean},
  {key: 'std', label: 'Std', about: 'Standard deviation, over n', value: tensor => tensor.std},
  {key: 'l2', label: 'L2', about: 'Root of the sum of squares', value: tensor => tensor.l2},
  {key: 'median', label: 'Median', about: 'Median; of a sample where the tensor is large', value: quantileAt(4)},
  {key: 'p1', label: 'p1', about: '1 % quantile; of a sample where the tensor is large', value: quantileAt(1)},
  {key: 'p99', label: 'p99', about: '99 % quantile; of a sample where the tensor is large', value: quantileAt(7)},
  {key: 'zeros', label: 'Zeros', about: 'Zeros of both signs', isCount: true, ...count('zeros')},
  {key: 'nan', label: 'NaN', about: 'Not a number', isCount: true, isBad: true, ...count('nan')},
  {key: 'inf', label: 'Inf', about: 'Infinities of both signs', isCount: true, isBad: true, ...count('inf')},
];
const changed = key => tensor => tensor.change ? tensor.change[key] : null;
/** JSON has no infinity: what was measured and has no number is infinite. */
const unbounded = key => tensor => tensor.change ? tensor.change[key] ?? Infinity : null;
const otherColumn = (key, label, get) => ({key, label, about: 'Of the second', value: tensor => tensor.other ? get(tensor.other) : null});
const changeColumns = [
  ownColumns[0],
  {key: 'canonical', label: 'In the second', about: 'The name in the second checkpoint, or why there is none', isText: true, value: tensor => tensor.other ? tensor.other.name : tensor.note || ''},
  {key: 'dtype', label: 'Type', about: 'Type of an element, in both', isText: true, value: tensor => tensor.other && tensor.other.dtype !== tensor.dtype ? `${tensor.dtype} → ${tensor.other.dtype}` : tensor.dtype},
  ownColumns[3],
  {key: 'state', label: 'Verdict', about: 'How the two compare', isText: true, value: tensor => tensor.state},
  {key: 'max_abs', label: 'max |Δ|', about: 'Largest difference of two elements', value: unbounded('max_abs')},
  {key: 'relative', label: 'Relative', about: 'Largest difference over the largest magnitude of the first', value: unbounded('relative')},
  {key: 'relative_norm', label: '‖Δ‖/‖first‖', about: 'Norm of the difference over the norm of the first', value: unbounded('relative_norm')},
  {key: 'cosine', label: 'Cosine', about: 'Of both as vectors', value: changed('cosine'), text: value => number(value, 7)},
  {key: 'differing', label: 'Differing', about: 'Elements that are not equal', isCount: true, value: changed('differing'), text: value => grouped(value)},
  {key: 'ulp', label: 'ULP', about: 'Largest distance in units in the last place', value: changed('ulp'), text: value => value === null || value === undefined ? missing : value > 1e6 ? number(value) : grouped(value)},
  {...ownColumns[5], about: 'The first, between its 0.1 % and 99.9 % quantiles'},
  ownColumns[8], otherColumn('mean_b', 'Mean, 2nd', other => other.mean), ownColumns[9], otherColumn('std_b', 'Std, 2nd', other => other.std),
  ownColumns[10], otherColumn('l2_b', 'L2, 2nd', other => other.l2),
];

const table = {rows: [], shown: [], rendered: 0, column: null, isDown: false, open: new Set()};
const batch = 120;

function tensorsSection() {
  const columns = (data.change ? changeColumns : ownColumns).filter(column => data.tensors.length === 0 || column.isText !== true || column.key === 'name' || data.tensors.some(tensor => column.value(tensor)));
  table.columns = columns;
  table.rows = data.tensors.map((tensor, index) => ({tensor, index, text: searchText(tensor)}));
  table.input = element('input', {type: 'search', id: 'filter', placeholder: data.change ? 'attention kernel  max_abs>1e-3' : 'attention kernel f32  std>0.05', 'aria-label': 'Filter the tensors', autocomplete: 'off', spellcheck: 'false', oninput: () => update()});
  table.count = element('span', {class: 'count', role: 'status', 'aria-live': 'polite'});
  table.head = element('tr', {}, columns.map(column => element('th', {scope: 'col', class: column.isText ? 't' : null, 'data-key': column.key},
    element('button', {type: 'button', title: column.about, onclick: () => sortBy(column)}, column.label))));
  table.body = element('tbody');
  table.end = element('div', {class: 'end'});
  table.frame = element('div', {class: 'frame-table', tabindex: -1}, element('table', {class: 'tensors'}, element('thead', {}, table.head), table.body), table.end);
  section('tensors', 'Tensors', data.change ? 'Every pair of tensors' : 'Every tensor', null,
    element('div', {class: 'controls'}, table.input, table.count),
    element('p', {class: 'keys'}, element('kbd', {}, '/'), ' filters by words and by numbers (', element('code', {}, data.change ? 'cosine<0.99' : 'std>0.05'), ', ', element('code', {}, data.change ? 'differing>0' : 'nan>0'), '). ', element('kbd', {}, '↑'), ' ', element('kbd', {}, '↓'), ' move, ', element('kbd', {}, 'Enter'), ' opens a row, ', element('kbd', {}, 'Esc'), ' closes. Headings sort.', data.tensors.some(tensor => tensor.sample) ? ' Quantiles and histograms of large tensors are of a sample of 4,096 numbers; all else is of every number.' : ''),
    table.frame);
  table.watch = new IntersectionObserver(entries => { if (entries.some(entry => entry.isIntersecting)) renderMore(); }, {root: table.frame, rootMargin: '800px'});
  table.body.addEventListener('click', event => {
    const row = event.target.closest('tr.row');
    if (row && !getSelection().toString()) toggle(row);
  });
  table.body.addEventListener('keydown', moveByKeys);
  update();
}

const searchText = tensor => [tensor.name, ...(tensor.canonical || []), tensor.dtype, shapeText(tensor.shape), tensor.shape.join('x'), tensor.note || '', tensor.state || '', tensor.other ? tensor.other.name : '', ...(tensor.aliases || [])].join(' ').toLowerCase();

// Filtering and sorting

/** `std>0.05` as a test; null where a word is none. Sizes may end in kb, mb, gb. */
function condition(word) {
  const found = /^([a-z0-9_]+)(<=|>=|<|>|=)(-?[\d.]+(?:e[+-]?\d+)?)(kb|mb|gb)?$/i.exec(word);
  const column = found && table.columns.find(one => one.key === found[1].toLowerCase() && !one.isText);
  if (!column) return null;
  const limit = Number(found[3]) * ({kb: 1e3, mb: 1e6, gb: 1e9}[(found[4] || '').toLowerCase()] || 1);
  const holds = {'<': (a, b) => a < b, '>': (a, b) => a > b, '<=': (a, b) => a <= b, '>=': (a, b) => a >= b, '=': (a, b) => a === b}[found[2]];
  return tensor => { const value = column.value(tensor); return value !== null && value !== undefined && holds(value, limit); };
}

function update() {
  const words = table.input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const tests = words.map(word => { const test = condition(word); return test ? row => test(row.tensor) : row => row.text.includes(word); });
  table.shown = table.rows.filter(row => tests.every(test => test(row)));
  const column = table.column, sign = table.isDown ? -1 : 1;
  if (column) {
    table.shown.sort((a, b) => {
      const x = column.value(a.tensor), y = column.value(b.tensor);
      const noX = x === null || x === undefined || x === '', noY = y === null || y === undefined || y === '';
      // What has no value is last, whatever the direction.
      if (noX || noY) return noX === noY ? a.index - b.index : noX ? 1 : -1;
      return (sign * (column.isText ? byName.compare(x, y) : x - y)) || a.index - b.index;
    });
  }
  table.body.replaceChildren();
  table.rendered = 0;
  renderMore();
  const some = table.shown.map(row => row.tensor), size = sum(some.map(tensor => tensor.bytes));
  table.count.textContent = `${some.length === table.rows.length ? plural(some.length, 'tensor') : `${grouped(some.length)} of ${plural(table.rows.length, 'tensor')}`}, ${bytes(size)}`;
  if (!some.length) table.body.append(element('tr', {}, element('td', {class: 'empty', colspan: table.columns.length}, table.rows.length ? 'No tensor matches.' : 'There are no tensors.')));
}

function sortBy(column) {
  // Numbers are looked for from the largest; a third click restores the file's order.
  const first = !column.isText;
  if (table.column !== column) { table.column = column; table.isDown = first; }
  else if (table.isDown === first) table.isDown = !first;
  else table.column = null;
  for (const head of table.head.children) {
    if (table.column && head.dataset.key === column.key) head.setAttribute('aria-sort', table.isDown ? 'descending' : 'ascending');
    else head.removeAttribute('aria-sort');
  }
  update();
  table.frame.scrollTop = 0;
}

// Rows

function renderMore(most = batch) {
  const rows = table.shown.slice(table.rendered, table.rendered + most);
  if (!rows.length) return;
  table.rendered += rows.length;
  const made = document.createDocumentFragment();
  for (const row of rows) {
    const node = rowNode(row);
    made.append(node);
    if (table.open.has(row.index)) made.append(detailNode(row, node));
  }
  table.body.append(made);
  // The watch tells of changes only. Who scrolls to the new end before its next look would see nothing follow; taken up anew, it tells what it sees.
  table.watch.unobserve(table.end);
  table.watch.observe(table.end);
  if (!table.body.querySelector('.name[tabindex="0"]')) table.body.querySelector('.name').tabIndex = 0;
}

function rowNode(row) {
  const tensor = row.tensor, node = element('tr', {class: 'row' + (table.open.has(row.index) ? ' open' : ''), 'data-index': row.index});
  for (const column of table.columns) {
    const value = column.value(tensor);
    if (column.key === 'name') {
      node.append(element('th', {scope: 'row'}, element('button', {type: 'button', class: 'name', tabindex: -1, title: tensor.name, 'aria-expanded': table.open.has(row.index) ? 'true' : 'false'}, element('span', {}, element('bdi', {}, tensor.name)))));
    } else if (column.node) node.append(element('td', {}, column.node(tensor)));
    else {
      const style = column.isText ? 't' + (column.key === 'canonical' ? ' canon' : '') : column.isBad && value > 0 ? 'bad' : column.isCount && value === 0 ? 'zero' : null;
      node.append(element('td', {class: style, title: column.key === 'canonical' ? value : null}, column.key === 'canonical' ? element('bdi', {}, value) : column.isText ? value : column.text ? column.text(value, tensor) : number(value)));
    }
  }
  return node;
}

function toggle(node) {
  const index = Number(node.dataset.index), isOpen = !table.open.has(index);
  if (isOpen) { table.open.add(index); node.after(detailNode(table.rows[index], node)); }
  else { table.open.delete(index); node.nextElementSibling.remove(); }
  node.classList.toggle('open', isOpen);
  node.querySelector('.name').setAttribute('aria-expanded', String(isOpen));
}

function moveByKeys(event) {
  const row = event.target.closest('tr.row');
  if (!row || !event.target.classList.contains('name')) return;
  const names = () => [...table.body.querySelectorAll('.name')];
  const all = names(), at = all.indexOf(event.target);
  if (event.key === 'Escape') {
    if (table.open.has(Number(row.dataset.index))) { toggle(row); event.stopPropagation(); }
    return;
  }
  const page = Math.max(1, Math.floor(table.frame.clientHeight / row.offsetHeight) - 2);
  let next = {ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: table.shown.length - 1}[event.key];
  if (next === undefined) return;
  event.preventDefault();
  next = Math.max(0, Math.min(table.shown.length - 1, next));
  while (next >= table.rendered) renderMore(Math.max(batch, next - table.rendered + 1));
  const target = names()[next];
  event.target.tabIndex = -1;
  target.tabIndex = 0;
  target.focus({preventScroll: true});
  target.closest('tr').scrollIntoView({block: 'nearest'});
}

/** Goes to the table with a filter; `isOpen` opens the only tensor of that name. */
function showTensors(words, isOpen) {
  table.input.value = isOpen ? '' : words;
  update();
  document.getElementById('tensors').scrollIntoView();
  if (!isOpen) { table.input.focus({preventScroll: true}); return; }
  const at = table.shown.findIndex(row => row.tensor.name === words);
  if (at < 0) return;
  while (at >= table.rendered) renderMore(Math.max(batch, at - table.rendered + 1));
  const row = table.body.querySelector(`tr.row[data-index="${table.shown[at].index}"]`);
  if (!table.open.has(table.shown[at].index)) toggle(row);
  table.frame.scrollTop = row.offsetTop - 40;
  row.querySelector('.name').focus({preventScroll: true});
}

// An opened row

function detailNode(row) {
  const tensor = row.tensor, other = tensor.other;
  const sheet = element('div', {class: 'sheet'});
  const plots = element('div', {});
  if (tensor.histogram) {
    const one = tensor.histogram, outside = one.low > tensor.min || one.high < tensor.max ? 'all but a thousandth at each end' : 'all numbers';
    plots.append(element('h4', {}, other ? 'Histogram: the first filled, the second as a line' : 'Histogram'), histogramPlot(tensor, other),
      element('p', {class: 'axis'}, one.high > one.low ? `${outside[0].toUpperCase()}${outside.slice(1)}, ${number(one.low)} to ${number(one.high)}, in ${one.counts.length} bars` : 'All numbers are the same', tensor.sample ? `; of a sample of ${grouped(tensor.sample)}.` : '.'));
  } else plots.append(element('p', {class: 'note'}, tensor.count === 0 || product(tensor.shape) === 0 ? 'It holds no numbers.' : tensor.count === undefined ? 'Its numbers cannot be decoded.' : 'None of its numbers is finite.'));
  const cell = value => element('td', {class: 'n'}, number(value, 7)), names = data.shares.map(share => share === 0.5 ? 'median' : `${short(100 * share)} %`);
  const line = (name, key) => element('tr', {}, element('th', {scope: 'row'}, name), cell(tensor[key]), other ? cell(other[key]) : null);
  const counts = [['numbers', 'count'], ['zeros', 'zeros'], ['negative zeros', 'negative_zeros'], ['subnormals', 'subnormals'], ['NaN', 'nan'], ['+Inf', 'positive_inf']];
  const numbers = element('div', {}, element('h4', {}, 'Numbers'), element('table', {class: 'plain'},
    other ? element('thead', {}, element('tr', {}, element('th'), element('th', {class: 'n'}, 'first'), element('th', {class: 'n'}, 'second'))) : null,
    element('tbody', {}, tensor.quantiles ? [line('min', 'min'), names.map((name, index) => element('tr', {}, element('th', {scope: 'row'}, name), cell(tensor.quantiles[index]), other ? cell(other.quantiles && other.quantiles[index]) : null)), line('max', 'max'), line('mean', 'mean'), line('standard deviation', 'std'), line('L2 norm', 'l2')] : null,
      counts.filter(([, key]) => tensor[key] || (other && other[key])).map(([name, key]) => element('tr', {}, element('th', {scope: 'row'}, name), element('td', {class: 'n'}, grouped(tensor[key] || 0)), other ? element('td', {class: 'n'}, grouped(other[key] || 0)) : null)),
      (tensor.inf || 0) > (tensor.positive_inf || 0) ? element('tr', {}, element('th', {scope: 'row'}, '−Inf'), element('td', {class: 'n'}, grouped(tensor.inf - (tensor.positive_inf || 0)))) : null)));
  sheet.append(plots, numbers, element('div', {class: 'wide'}, detailFacts(tensor)));
  const node = element('tr', {class: 'detail'}, element('td', {colspan: table.columns.length}, sheet));
  sheet.style.width = `${table.frame.clientWidth - 2}px`;
  return node;
}

/** What brought a pair together, and how the second lies against the first. */
function matchText(tensor) {
  const piece = tensor.piece, rows = tensor.rows;
  return [`by ${tensor.matched_by}`, tensor.transposed ? 'transposed' : null, tensor.reshaped ? 'reshaped' : null,
    piece ? `a part of the ${piece.of}: ${piece.length} from ${piece.start} along axis ${piece.axis}${piece.count > 1 ? `, ${piece.count} times` : ''}` : null,
    rows ? `${grouped(rows.kept)} rows of ${grouped(rows.first)} and ${grouped(rows.second)} are the same` : null].filter(Boolean).join('; ');
}

function detailFacts(tensor) {
  const change = tensor.change, mono = text => element('span', {class: 'mono'}, text);
  const ends = one => one.first && one.first.length ? `[${one.first.map(value => number(value, 5)).join(', ')}${one.last.length ? `${product(one.shape) > one.first.length + one.last.length ? ', …, ' : ', '}${one.last.map(value => number(value, 5)).join(', ')}` : ''}]` : null;
  return facts([
    ['Name', mono(tensor.name)],
    ['Stored for', (tensor.canonical || []).length ? mono(tensor.canonical.join(', ')) : tensor.note],
    ['In the second', tensor.other ? mono(tensor.other.name) : null],
    ['Also called', tensor.aliases ? mono(tensor.aliases.join(', ')) : null],
    ['Group', tensor.group ? mono(tensor.group) : null],
    ['Shape', `${shapeText(tensor.shape)} of ${tensor.dtype}: ${plural(product(tensor.shape), 'element')}, ${bytes(tensor.bytes)}${tensor.filters ? `, stored through ${tensor.filters.join(', ')}` : ''}`],
    ['Values', ends(tensor) ? mono(ends(tensor)) : null],
    ['Values, second', tensor.other && ends(tensor.other) ? mono(ends(tensor.other)) : null],
    ['Matched', tensor.other ? matchText(tensor) : null],
    ['Largest difference', change && change.worst ? `${number(change.max_abs ?? Infinity, 7)} at [${change.worst.index.join(', ')}]: ${number(change.worst.first, 7)} and ${number(change.worst.second, 7)}` : null],
    ['Not compared', change ? change.unmeasured : null],
  ]);
}
