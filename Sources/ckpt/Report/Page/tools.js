'use strict';
// What every part of the page uses: the data, elements, numbers for people.
//
// data: {version, shares, model, tensors, attention?}; for two checkpoints also {other, change}.
//   model      what the checkpoint is: ReportOverview
//   tensors    a row each, in the file's order: ReportTensors; what is zero or empty has no key
//   attention  as in the command's JSON: AttentionReport
const data = JSON.parse(document.getElementById('data').textContent);
const main = document.getElementById('main');

/** An element with attributes and children; attributes that are null or false are left out. */
function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function drawing(tag, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.flat(3).filter(child => child !== null && child !== undefined));
  return node;
}

// Numbers

const missing = '–';

/** A number with some significant digits: 0.01235, 1.235e-7; whole numbers below a million as they are. */
function number(value, digits = 4) {
  if (value === null || value === undefined) return missing;
  if (value === 0) return '0';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  const size = Math.abs(value);
  let text;
  if (Number.isInteger(value) && size < 1e6) text = String(size);
  else if (size >= 1e-4 && size < 1e6) text = size.toPrecision(digits);
  else text = size.toExponential(digits - 1).replace('+', '');
  return (value < 0 ? '−' : '') + text.replace('e-', 'e−');
}

function grouped(value) {
  return value === null || value === undefined ? missing : String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

function scaled(value, steps, unit) {
  let index = 0;
  while (value >= 999.5 && index < steps.length - 1) { value /= 1000; index += 1; }
  const text = index === 0 ? String(value) : value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
  return text + ' ' + steps[index] + unit;
}

/** Bytes, in powers of 1,000 as disks count. */
const bytes = value => scaled(value, ['', 'K', 'M', 'G', 'T'], 'B');
const millions = value => value < 1e4 ? grouped(value) : scaled(value, ['', 'K', 'M', 'B', 'T'], '');
const percent = share => share === 0 ? '0 %' : share < 0.001 ? '< 0.1 %' : (100 * share).toFixed(share < 0.0995 ? 1 : 0) + ' %';
const plural = (count, one, many) => grouped(count) + ' ' + (count === 1 ? one : many || one + 's');
const shapeText = shape => shape.length ? shape.join(' × ') : 'scalar';
const product = shape => shape.reduce((a, b) => a * b, 1);
const isBad = tensor => Boolean(tensor.nan || tensor.inf);

/** A name that breaks into lines behind its parts, rather than anywhere. */
const breakable = text => text.split(/(?<=[_.\/,])/).flatMap((part, index) => index ? [element('wbr'), part] : [part]);

/** A name from a file: apart from the direction of the text around it, and not longer than a line. */
function nameText(text) {
  const letters = [...text];
  return element('bdi', {title: letters.length > 48 ? text : null}, letters.length > 48 ? `${letters.slice(0, 20).join('')}…${letters.slice(-27).join('')}` : text);
}

// Sections and the bar that leads to them

const sections = [];

/** Adds a section whose heading says what is seen. */
function section(id, short, title, lead, ...children) {
  const node = element('section', {id, 'aria-labelledby': id + '-title'},
    element('h2', {id: id + '-title'}, title), lead ? element('p', {class: 'lead'}, lead) : null, children);
  sections.push({id, short});
  main.append(node);
  return node;
}

/** Rows of a heading and a value. */
function facts(rows) {
  return element('table', {class: 'plain facts'}, element('tbody', {}, rows.filter(row => row[1] !== null && row[1] !== undefined && row[1] !== '')
    .map(([key, ...values]) => element('tr', {}, element('th', {scope: 'row'}, key), values.map(value => value instanceof Node && value.nodeName === 'TD' ? value : element('td', {}, value))))));
}

// Names of layers: the first number of a name counts them

const layerNumber = /(^|[._\/-])(\d+)(?=[._\/-]|$)/;

/** {role, layer} of a tensor in a stack: `layers.*.attention.query.kernel`, 3; null where it is in none. */
function place(tensor) {
  const names = tensor.canonical || [];
  const name = names.length === 1 ? names[0] : tensor.name;
  const found = layerNumber.exec(name);
  if (!found) return null;
  const start = found.index + found[1].length;
  return {role: name.slice(0, start) + '*' + name.slice(start + found[2].length), layer: Number(found[2])};
}


/** Calls back now and whenever the width of an element has changed. */
function onWidth(node, draw) {
  let last = 0;
  new ResizeObserver(() => {
    const width = Math.floor(node.clientWidth);
    if (width > 0 && width !== last) { last = width; draw(width); }
  }).observe(node);
}

const onTheme = [];
const isDark = () => document.documentElement.dataset.theme === 'dark';
