'use strict';
// The bar, the theme, the keys; then everything is put on the page.

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  for (const draw of onTheme) draw();
}

function remembered() {
  // Storage may be forbidden; then the system's theme holds.
  try { return localStorage.getItem('ckpt-theme'); } catch { return null; }
}

function bar() {
  const nav = document.getElementById('nav');
  const button = element('button', {type: 'button', id: 'theme'});
  const name = () => { button.textContent = isDark() ? 'Light' : 'Dark'; button.setAttribute('aria-label', `Switch to the ${isDark() ? 'light' : 'dark'} theme`); };
  button.addEventListener('click', () => {
    const theme = isDark() ? 'light' : 'dark';
    setTheme(theme);
    try { localStorage.setItem('ckpt-theme', theme); } catch { /* not remembered */ }
    name();
  });
  nav.append(...sections.map(one => element('a', {href: '#' + one.id}, one.short)), button);
  name();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', event => {
    if (!remembered()) { setTheme(event.matches ? 'dark' : 'light'); name(); }
  });
  // The link of the first section in the middle of the screen is marked.
  const seen = new Set();
  const watch = new IntersectionObserver(entries => {
    for (const entry of entries) if (entry.isIntersecting) seen.add(entry.target.id); else seen.delete(entry.target.id);
    const first = sections.find(one => seen.has(one.id));
    for (const link of nav.querySelectorAll('a')) {
      if (first && link.hash === '#' + first.id) link.setAttribute('aria-current', 'true'); else link.removeAttribute('aria-current');
    }
  }, {rootMargin: '-20% 0px -60% 0px'});
  for (const one of sections) watch.observe(document.getElementById(one.id));
}

setTheme(remembered() || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'));
overviewHead();
if (data.change) changeSections(); else { concernsSection(); overviewSection(); }
diagramSection();
graphSection();
sizesSection();
layersSection();
headsSection();
tensorsSection();
bar();
document.getElementById('foot').append(element('p', {}, `Written by ckpt ${data.version}. Everything is in this file.`));

document.addEventListener('keydown', event => {
  const isTyping = event.target.matches('input, textarea, select');
  if (event.key === '/' && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    document.getElementById('tensors').scrollIntoView();
    table.input.focus({preventScroll: true});
    table.input.select();
  } else if (event.target === table.input && event.key === 'Escape') {
    if (table.input.value) { table.input.value = ''; update(); } else table.input.blur();
    event.preventDefault();
  } else if (event.target === table.input && (event.key === 'ArrowDown' || event.key === 'Enter')) {
    const first = table.body.querySelector('.name');
    if (first) { first.focus(); event.preventDefault(); }
  }
});

// On paper every row is there, and nothing waits to be opened.
addEventListener('beforeprint', () => {
  renderMore(Infinity);
  for (const details of document.querySelectorAll('details')) details.open = true;
});
