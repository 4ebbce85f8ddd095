'use strict';
// What the attention heads use, and how alike they are.

function headsSection() {
  const parts = data.attention;
  if (!parts || !parts.length) return;
  const size = parts[0].key_size, ranks = parts.flatMap(part => part.heads.map(head => head.effective_rank));
  const mean = sum(ranks) / ranks.length;
  section('heads', 'Heads', `What ${plural(ranks.length, 'attention head')} use`,
    `A head scores two states by W_q·W_kᵀ, whose rank is at most its key size, ${size}. Its effective rank is how many singular values hold 99 % of the energy: ${Math.min(...ranks)} to ${Math.max(...ranks)} here, ${number(mean, 3)} on average.`,
    element('h3', {}, 'Effective rank of each head'), rankTable(parts, size),
    element('h3', {}, 'Singular values, and similarity between heads'),
    element('div', {class: 'legend'}, rampLegend(false, 'singular value: 0', 'the layer’s largest, by its square root'), rampLegend(true, 'similarity: opposed', 'alike'), element('span', {}, 'Similarity is the cosine of two heads’ W_q·W_kᵀ, scaled to the largest beside the diagonal.')),
    element('div', {class: 'cards heads'}, parts.map(headCard)));
}

const attentionName = name => name.replace(/\.attention$/, '').replace(/\.cross_attention$/, ', cross');

function rankTable(parts, size) {
  const most = Math.max(...parts.map(part => part.heads.length));
  const ranks = parts.flatMap(part => part.heads.map(head => head.effective_rank));
  // A narrow range fills the ramp's upper half, so that it does not look like more than it is.
  const low = Math.min(...ranks) / size < 0.5 ? 0 : 2 * Math.min(...ranks) - size;
  const cells = [];
  const table = element('table', {class: 'ranks'}, element('thead', {}, element('tr', {}, element('th', {}, 'head'), Array.from({length: most}, (_, index) => element('th', {scope: 'col'}, String(index))))),
    element('tbody', {}, parts.map(part => element('tr', {}, element('th', {scope: 'row'}, attentionName(part.name)), part.heads.map(head => {
      const cell = element('td', {title: `${head.effective_rank} of ${part.key_size}`}, String(head.effective_rank));
      cells.push([cell, (head.effective_rank - low) / Math.max(1, size - low)]);
      return cell;
    })))));
  const draw = () => cells.forEach(([cell, share]) => {
    const color = shade(ramp(false), share);
    cell.style.background = css(color);
    cell.style.color = onColor(color);
  });
  draw();
  onTheme.push(draw);
  return element('div', {class: 'scroll'}, table);
}

function headCard(part) {
  const largest = Math.max(...part.heads.map(head => head.singular_values[0] || 0)) || 1;
  const values = part.heads.map(head => head.singular_values.map(value => Math.sqrt(value / largest)));
  const read = element('p', {class: 'read'});
  let most = 0, pair = null;
  part.similarity.forEach((row, first) => row.forEach((value, second) => {
    if (first < second && (pair === null || value > part.similarity[pair[0]][pair[1]])) pair = [first, second];
    if (first !== second) most = Math.max(most, Math.abs(value));
  }));
  const summary = pair ? `Most alike: heads ${pair[0]} and ${pair[1]}, ${number(part.similarity[pair[0]][pair[1]], 3)}. Largest singular value ${number(largest, 3)}.` : `Largest singular value ${number(largest, 3)}.`;
  read.textContent = summary;
  const alike = part.similarity.map((row, first) => row.map((value, second) => first === second ? null : 0.5 + value / (2 * (most || 1))));
  const left = heatMap(values, false, `Singular values of ${part.heads.length} heads in ${part.name}`, (head, index) => {
    read.textContent = head === null ? summary : `Head ${head}: singular value ${index} is ${number(part.heads[head].singular_values[index])}, effective rank ${part.heads[head].effective_rank} of ${part.key_size}.`;
  });
  const right = heatMap(alike, true, `Similarity of ${part.heads.length} heads in ${part.name}`, (first, second) => {
    read.textContent = first === null ? summary : `Heads ${first} and ${second}: similarity ${number(part.similarity[first][second], 3)}.`;
  });
  left.style.aspectRatio = '3 / 2';
  right.style.aspectRatio = '1';
  return element('div', {class: 'card'}, element('h4', {}, part.name), read, element('div', {class: 'maps'},
    element('figure', {}, left, element('figcaption', {}, `singular values of each head`)),
    element('figure', {}, right, element('figcaption', {}, `similarity, ±${number(most, 2)}`))));
}
