'use strict';
// Two checkpoints: what they are to each other, and where they differ.

function changeHead(top) {
  const {model: first, other: second, change} = data;
  top.append(element('h1', {}, first.name, element('span', {class: 'to'}, ' → '), second.name),
    element('p', {class: 'soft'}, kindOf(first) === kindOf(second) ? kindOf(first) : `${kindOf(first)} → ${kindOf(second)}`),
    element('p', {class: 'verdict ' + (change.equal ? 'equal' : 'unequal'), id: 'verdict'}, element('b', {}, change.title), `: ${change.summary.replaceAll(' %', '\u00a0%')}`));
  const states = tallyStates(), evidence = change.evidence;
  const entries = [
    ['Pairs', grouped(data.tensors.filter(tensor => tensor.other).length), `matched by ${change.matching}`],
    ['Numbers that differ', millions(evidence.differing), `of ${grouped(evidence.numbers)}`],
  ];
  if (evidence.typical_change !== null) entries.push(['Typical change', percent(evidence.typical_change), 'of a matrix’s norm']);
  if (evidence.typical_cosine !== null) entries.push(['Typical cosine', number(evidence.typical_cosine, 5), 'of a matrix']);
  const alone = (states['only in the first'] || 0) + (states['only in the second'] || 0);
  entries.push(['Without partner', grouped(alone), alone ? `${states['only in the first'] || 0} in the first, ${states['only in the second'] || 0} in the second` : 'every tensor has one']);
  top.append(figures(entries));
}

function tallyStates() {
  const found = {};
  for (const tensor of data.tensors) found[tensor.state] = (found[tensor.state] || 0) + 1;
  return found;
}

function changeSections() {
  const {model: first, other: second, change} = data;
  section('summary', 'Summary', 'What they are to each other', null, element('div', {class: 'columns'},
    element('div', {}, element('h3', {}, 'What speaks for it'), facts(change.evidence_lines), element('h3', {}, 'Tensors'),
      facts(Object.entries(tallyStates()).map(([state, count]) => [state, element('td', {class: 'n'}, grouped(count))]))),
    element('div', {}, partChanges(change.parts))),
    change.notes.length ? element('ul', {class: 'concerns'}, change.notes.map(note => element('li', {class: 'note'}, note))) : null);
  const both = (name, get) => [name, element('td', {}, get(first)), element('td', {}, get(second))];
  const different = new Map(change.settings.map(entry => [entry.key, entry]));
  section('overview', 'Files', 'What each is', different.size ? `${plural(different.size, 'value')} of the configuration ${different.size === 1 ? 'differs' : 'differ'}.` : 'Both state the same configuration, as far as they state one.',
    element('table', {class: 'plain facts two'}, element('thead', {}, element('tr', {}, element('td'), element('th', {scope: 'col'}, 'First'), element('th', {scope: 'col'}, 'Second'))),
      element('tbody', {}, [
        both('Path', model => element('span', {class: 'path'}, model.path)), both('Format', model => model.format), both('Written by', model => model.writer || missing),
        both('Dialect', model => model.dialect || missing), both('Family', model => model.family || 'unknown'),
        both('Parameters', model => grouped(model.parameters)), both('Size', model => bytes(model.bytes)), both('Types', model => Object.keys(model.dtypes).join(', ')),
        both('Warnings', model => (model.concerns || []).filter(concern => concern.severity === 'warning').map(concern => concern.sentence).join('; ') || 'none'),
      ].map(([name, ...cells]) => element('tr', {}, element('th', {scope: 'row'}, name), cells)),
      change.settings.map(entry => element('tr', {}, element('th', {scope: 'row', class: 'mono'}, entry.key), element('td', {class: 'mono'}, entry.first), element('td', {class: 'mono'}, entry.second, entry.assumed ? element('span', {class: 'assumed'}, ' (assumed)') : null))))));
}

/** How far each part has moved. */
function partChanges(parts) {
  if (!parts.length) return null;
  const most = Math.max(...parts.map(part => part.relative_norm || 0)) || 1;
  return [element('h3', {}, 'Change by part'), element('div', {class: 'scroll'}, element('table', {class: 'plain', id: 'changes'},
    element('thead', {}, element('tr', {}, ['part', 'changed', '‖Δ‖ / ‖first‖', '', 'cosine', 'max |Δ|'].map((name, index) => element('th', {scope: 'col', class: [1, 2, 4, 5].includes(index) ? 'n' : null}, name)))),
    element('tbody', {}, parts.map(part => element('tr', {}, element('th', {scope: 'row'}, nameText(part.name)), element('td', {class: 'n'}, `${part.changed} of ${part.tensors}`), element('td', {class: 'n'}, number(part.relative_norm, 3)),
      element('td', {class: 'bar'}, shareBar((part.relative_norm || 0) / most)), element('td', {class: 'n'}, number(part.cosine, 6)), element('td', {class: 'n'}, number(part.max_abs, 3)))))))];
}
