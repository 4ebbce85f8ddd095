"""Chromium opens the pages that `report` writes: their numbers, sorting, filters, keys, themes, paper, and no network.

CHROMIUM names another browser of its kind. CKPT_SHOTS=FOLDER keeps pictures of every page.
"""
import json
import math
import os
import re
import shutil

import numpy as np
from playwright.sync_api import sync_playwright
from safetensors.numpy import save_file

from common import CKPT, FIXTURES, ckpt, place, require, run_checks

CHROMIUM = os.environ.get('CHROMIUM') or shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
SHOTS = os.environ.get('CKPT_SHOTS')
LARGEST_PAGE = 3_000_000
# Generous, because other work may share the machine; a page of 1,000 tensors takes a fifth of it on an idle one.
LONGEST_OPENING = 3000.0
HOSTILE = ['</script><script>document.title="taken"</script>', '<!--<script>', '<img src=x onerror=document.title="taken">', '层.0/权重 "引号"', '🙂 émoji &amp;',
           "q'uote\\back\u2028line", 'x' * 300, '\u202ertl\u202c עברית', '{{data}}', '$&', '__proto__', 'constructor']


class Page:
    """A page in a tab of its own that counts what must not happen: messages, errors, requests."""

    def __init__(self, browser, path, width=1440, height=900, theme='light', storage=None):
        self.context = browser.new_context(viewport={'width': width, 'height': height}, color_scheme=theme, storage_state=storage)
        self.tab = self.context.new_page()
        self.faults, self.url = [], 'file://' + str(path)
        self.tab.on('console', lambda message: self.faults.append('console: ' + message.text))
        self.tab.on('pageerror', lambda error: self.faults.append('error: %s' % error))
        self.tab.on('request', lambda request: None if request.url == self.url or request.url.startswith('data:') else self.faults.append('request: ' + request.url))
        self.tab.goto(self.url)
        self.tab.wait_for_selector('table.tensors tbody tr')

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.context.close()
        if kind is None:
            require(not self.faults, 'the page was not quiet: %s' % self.faults[:3])

    def run(self, script, *arguments):
        return self.tab.evaluate(script, *arguments)

    def rows(self):
        """The table as it is drawn: name → {column: text}; rows that are not drawn yet are scrolled to."""
        for _ in range(200):
            shown = self.run('table.rendered')
            if shown == self.run('table.shown.length'):
                break
            self.run('table.frame.scrollTop = table.frame.scrollHeight')
            self.tab.wait_for_function('count => table.rendered > count', arg=shown)
        return self.run('''() => {
            const keys = [...document.querySelectorAll('table.tensors thead th')].map(head => head.dataset.key);
            return [...document.querySelectorAll('table.tensors tbody tr.row')].map(row => Object.fromEntries([...row.children].map((cell, i) => [keys[i], keys[i] === 'name' ? cell.querySelector('bdi').textContent : cell.textContent])));
        }''')

    def column(self, key):
        return [row[key] for row in self.rows()]

    def sort(self, key):
        self.tab.click('table.tensors th[data-key="%s"] button' % key)

    def order(self, key):
        return self.run('key => document.querySelector(`table.tensors th[data-key="${key}"]`).getAttribute("aria-sort")', key)

    def filter(self, text):
        self.tab.fill('#filter', text)

    def fits(self):
        return self.run('document.documentElement.scrollWidth <= innerWidth')


def number(text):
    """A number as the page writes it."""
    text = text.replace('−', '-').replace(',', '')
    return None if text in ('–', '') else float(text)


def close(shown, expected, digits):
    if expected is None:
        return shown is None
    return shown is not None and math.isclose(shown, float(expected), rel_tol=0.6 * 10.0 ** (1 - digits), abs_tol=1e-300)


def report(name, *arguments, code=0):
    """Writes a page; returns its path and what the command says."""
    path = place('browser', name + '.html')
    said = ckpt('report', *arguments, '-o', path, '--overwrite', code=code)
    require(said.get('bytes') == path.stat().st_size, 'the page has %d bytes, said are %s' % (path.stat().st_size, said.get('bytes')))
    return path, said


def expected_numbers(values):
    """What NumPy says of a tensor; of finite values, in float64."""
    flat = np.asarray(values).astype('float64').ravel()
    finite = flat[np.isfinite(flat)]
    found = {'zeros': int((flat == 0).sum()), 'nan': int(np.isnan(flat).sum()), 'inf': int(np.isinf(flat).sum())}
    if finite.size:
        found.update(min=finite.min(), max=finite.max(), mean=finite.mean(), std=finite.std(), l2=np.sqrt((finite ** 2).sum()))
        if finite.size <= 4096:
            found.update(median=np.median(finite), p1=np.quantile(finite, 0.01), p99=np.quantile(finite, 0.99))
    return found


def stack(layers, width, scale=0.02):
    """Weights of a model of no known family."""
    random, made = np.random.default_rng(5), {}
    for layer in range(layers):
        for name, shape in [('attention.query.weight', (width, width)), ('attention.key.weight', (width, width)), ('attention.value.weight', (width, width)),
                            ('attention.out.weight', (width, width)), ('mlp.up.weight', (2 * width, width)), ('mlp.down.weight', (width, 2 * width))]:
            made['blocks.%d.%s' % (layer, name)] = random.normal(0, scale * (1 + layer / layers), shape).astype('float32')
            made['blocks.%d.%s.bias' % (layer, name[:-7])] = random.normal(0, scale, shape[0]).astype('float32')
        for name in ['norm1.weight', 'norm1.bias', 'norm2.weight', 'norm2.bias']:
            made['blocks.%d.%s' % (layer, name)] = random.normal(1, scale, width).astype('float32')
    made['table'] = random.normal(0, 1, (100, width)).astype('float32')
    return made


# Checks


def check_numbers(browser, fixture):
    """The table says what `ls --json` lists, and every number what NumPy computes of the values."""
    path, said = report('numbers', FIXTURES / fixture)
    listed = ckpt('ls', FIXTURES / fixture)['tensors']
    target = place('browser', 'values.npz')
    ckpt('convert', FIXTURES / fixture, target, '--overwrite', '--no-verify')
    values = dict(np.load(target))
    with Page(browser, path) as page:
        rows = page.rows()
        require([row['name'] for row in rows] == [tensor['name'] for tensor in listed], 'names or their order differ from ls')
        compared = 0
        for row, tensor in zip(rows, listed):
            require(row['dtype'] == tensor['dtype'], '%(name)s has type %(dtype)s' % row)
            require(row['shape'] == (' × '.join(map(str, tensor['shape'])) or 'scalar'), '%(name)s has shape %(shape)s' % row)
            for key, expected in expected_numbers(values[tensor['name']]).items():
                shown = number(row[key])
                # Means are sums of what cancels; they are as exact as their terms.
                fine = close(shown, expected, 4) or (key == 'mean' and abs(shown - expected) < 1e-7 * max(abs(number(row['min'])), abs(number(row['max']))))
                require(fine, '%s: %s is %s, NumPy says %r' % (row['name'], key, row[key], expected))
                compared += 1
        require(said['tensors'] == [len(rows)], 'said are %s tensors' % said['tensors'])
        info = ckpt('info', FIXTURES / fixture)
        require('{:,}'.format(info['parameters']) in page.tab.inner_text('#top'), 'the head does not say the parameters')
    return '%d tensors, %d numbers' % (len(rows), compared)


def check_detail(browser):
    """An opened row has seven digits of everything, and the first and last values."""
    made = {'a': np.linspace(-1, 2, 3001, dtype='float32').reshape(3001, 1), 'b': np.arange(4, dtype='float32')}
    source = place('browser', 'detail.safetensors')
    save_file(made, source)
    path, _ = report('detail', source)
    with Page(browser, path) as page:
        page.tab.click('tr.row[data-index="0"] .name')
        texts = page.run('''() => Object.fromEntries([...document.querySelectorAll('tr.detail table.plain tr')].map(row => [row.children[0].textContent, row.children[row.children.length - 1].textContent]))''')
        flat = made['a'].astype('float64').ravel()
        for key, expected in [('min', flat.min()), ('max', flat.max()), ('mean', flat.mean()), ('standard deviation', flat.std()), ('L2 norm', np.sqrt((flat ** 2).sum())),
                              ('median', np.median(flat)), ('1 %', np.quantile(flat, 0.01)), ('5 %', np.quantile(flat, 0.05)), ('0.1 %', np.quantile(flat, 0.001)), ('99.9 %', np.quantile(flat, 0.999)), ('numbers', 3001)]:
            require(close(number(texts[key]), expected, 7) or abs(number(texts[key]) - expected) < 1e-9, '%s is %s, NumPy says %r' % (key, texts[key], expected))
        ends = [number(text) for text in re.findall(r'[−\d.e-]+', texts['Values'].replace('…', ''))]
        require(np.allclose(ends, np.concatenate([flat[:4], flat[-4:]]), rtol=1e-4), 'the values are %s' % texts['Values'])
        bars = page.run('data.tensors[0].histogram.counts.reduce((a, b) => a + b, 0)')
        require(bars >= 0.99 * flat.size, 'the histogram holds %d of %d numbers' % (bars, flat.size))
        require(page.run('document.querySelectorAll("tr.detail svg.plot path.bar").length') == 1, 'there is no large histogram')
    return '%d numbers' % len(texts)


def check_sorting(browser):
    """Headings sort: numbers from the largest, names in natural order, a third click restores the file's order."""
    source = place('browser', 'sorting.safetensors')
    made = stack(12, 8)
    made['blocks.3.norm1.bias'][:] = np.nan
    save_file(made, source)
    path, _ = report('sorting', source)
    listed = [tensor['name'] for tensor in ckpt('ls', source)['tensors']]
    deviation = {name: expected_numbers(values).get('std') for name, values in made.items()}
    with Page(browser, path) as page:
        page.sort('std')
        require(page.order('std') == 'descending', 'aria-sort says %s' % page.order('std'))
        names = page.column('name')
        found = [deviation[name] for name in names]
        require(found[-1] is None, 'what has no value is not last')
        require(all(a >= b for a, b in zip(found[:-2], found[1:-1])), 'the order is not that of the standard deviations')
        page.sort('std')
        names = page.column('name')
        found = [deviation[name] for name in names]
        require(page.order('std') == 'ascending' and found[-1] is None and all(a <= b for a, b in zip(found[:-2], found[1:-1])), 'ascending is wrong')
        page.sort('std')
        require(page.order('std') is None and page.column('name') == listed, 'the file\'s order does not come back')
        page.sort('name')
        names = page.column('name')
        require(names.index('blocks.2.norm1.bias') < names.index('blocks.10.norm1.bias'), 'layer 10 stands before layer 2')
        require(page.order('name') == 'ascending' and page.run('document.querySelectorAll("th[aria-sort]").length') == 1, 'more than one column is said to sort')
    return '%d tensors' % len(listed)


def check_filter(browser):
    """Words and conditions, the count, and what is said when nothing is left."""
    source = place('browser', 'sorting.safetensors')
    path = place('browser', 'sorting.html')
    made = stack(12, 8)
    with Page(browser, path) as page:
        page.filter('attention query weight')
        require(sorted(page.column('name')) == sorted(name for name in made if 'attention.query.weight' in name), 'words find other tensors')
        require(page.tab.inner_text('.count').startswith('12 of 193 tensors'), 'the count is %s' % page.tab.inner_text('.count'))
        page.filter('std>0.03 8x8')
        wanted = sorted(name for name, values in made.items() if values.std(dtype='float64') > 0.03 and values.shape == (8, 8))
        require(wanted and sorted(page.column('name')) == wanted, 'a condition finds other tensors')
        page.filter('nan>0')
        require(page.column('name') == ['blocks.3.norm1.bias'], 'nan>0 finds %s' % page.column('name'))
        require(page.run('document.querySelectorAll("td.bad").length') == 1, 'NaN is not marked')
        page.filter('no such tensor')
        require(page.rows() == [] and 'No tensor matches' in page.tab.inner_text('table.tensors'), 'nothing is not said')
        page.tab.press('#filter', 'Escape')
        require(len(page.rows()) == 193, 'Escape does not clear the filter')
    return 'words, conditions, nothing'


def check_keyboard(browser):
    """`/`, arrows, Enter, Escape, Home and End; everything that can be clicked can be reached."""
    path = place('browser', 'sorting.html')
    focused = 'document.activeElement.querySelector("bdi") ? document.activeElement.querySelector("bdi").textContent : document.activeElement.id'
    with Page(browser, path) as page:
        names = page.run('data.tensors.map(tensor => tensor.name)')
        page.tab.keyboard.press('/')
        require(page.run('document.activeElement.id') == 'filter', '/ does not lead to the filter')
        page.tab.keyboard.type('norm2')
        require(page.run('table.shown.length') == 24, 'typing does not filter')
        page.tab.keyboard.press('Escape')
        page.tab.keyboard.press('ArrowDown')
        require(page.run(focused) == names[0], 'the arrow leads to %s' % page.run(focused))
        for _ in range(3):
            page.tab.keyboard.press('ArrowDown')
        require(page.run(focused) == names[3], 'arrows lead to %s' % page.run(focused))
        page.tab.keyboard.press('Enter')
        require(page.run('document.activeElement.getAttribute("aria-expanded")') == 'true' and page.run('document.querySelectorAll("tr.detail").length') == 1, 'Enter does not open')
        page.tab.keyboard.press('ArrowDown')
        require(page.run(focused) == names[4], 'an opened row is in the way')
        page.tab.keyboard.press('ArrowUp')
        page.tab.keyboard.press('Escape')
        require(page.run('document.querySelectorAll("tr.detail").length') == 0, 'Escape does not close')
        page.tab.keyboard.press('End')
        require(page.run(focused) == names[-1], 'End leads to %s' % page.run(focused))
        require(page.run('(() => { const box = document.activeElement.getBoundingClientRect(), frame = table.frame.getBoundingClientRect(); return box.bottom <= frame.bottom + 1 && box.top >= frame.top; })()'), 'the last row is out of sight')
        page.tab.keyboard.press('Home')
        require(page.run(focused) == names[0], 'Home leads to %s' % page.run(focused))
        page.tab.keyboard.press('Shift+Tab')
        require(page.run('document.activeElement.closest("thead") !== null'), 'headings are not reached by Tab')
        page.tab.keyboard.press('Enter')
        require(page.run('document.querySelectorAll("th[aria-sort]").length') == 1, 'a heading does not sort by Enter')
        page.tab.focus('.card svg')
        page.tab.keyboard.press('ArrowRight')
        require('layer 0' in page.tab.inner_text('.card .read >> nth=0'), 'a plot does not read itself out')
        page.tab.keyboard.press('Enter')
        require(page.run('document.querySelectorAll("tr.detail").length') == 1, 'a plot does not lead to its tensor')
        unnamed = page.run('[...document.querySelectorAll("button, a, input, [tabindex=\'0\']")].filter(node => !(node.textContent.trim() || node.getAttribute("aria-label"))).length')
        require(unnamed == 0, '%d controls have no name' % unnamed)
    return 'all keys'


def contrast(page):
    """The least contrast of text and what is behind it, over the page's own colours."""
    return page.run('''() => {
        const parse = text => text.match(/[\\d.]+/g).map(Number);
        const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        let worst = [99, ''];
        for (const node of document.querySelectorAll('main *, header *, nav *, footer *')) {
            if (node.closest('svg') || ![...node.childNodes].some(child => child.nodeType === 3 && child.data.trim()) || node.closest('.zero')) continue;
            let behind = node, color = null;
            while (behind && (!color || color[3] === 0)) { color = parse(getComputedStyle(behind).backgroundColor); behind = behind.parentElement; }
            const a = light(parse(getComputedStyle(node).color)), b = light(color);
            const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            if (ratio < worst[0]) worst = [ratio, node.tagName + ' ' + node.textContent.slice(0, 40)];
        }
        return worst;
    }''')


def check_themes(browser):
    """The system's theme first, then what was chosen, which is remembered; text can be read in both."""
    path = place('browser', 'model.html')
    background = 'getComputedStyle(document.body).backgroundColor'
    with Page(browser, path, theme='dark') as page:
        require(page.run('document.documentElement.dataset.theme') == 'dark', 'the system\'s theme is not taken')
        dark = page.run(background)
        worst = contrast(page)
        require(worst[0] >= 4.5, 'dark: contrast %.2f at %s' % tuple(worst))
        page.tab.click('#theme')
        require(page.run('document.documentElement.dataset.theme') == 'light' and page.run(background) != dark, 'the theme does not change')
        page.tab.reload()
        require(page.run('document.documentElement.dataset.theme') == 'light', 'the choice is not remembered')
    with Page(browser, path) as page:
        worst = contrast(page)
        require(worst[0] >= 4.5, 'light: contrast %.2f at %s' % tuple(worst))
    return 'contrast at least %.1f' % worst[0]


def check_model(browser):
    """A model of a known family: drawing, sizes, layers, heads with the numbers that `info --attention` has."""
    source = FIXTURES / 'hf-bert'
    path, said = report('model', source)
    require(said['attention'], 'heads were not analysed')
    info = ckpt('info', source, '--attention')
    with Page(browser, path) as page:
        ids = page.run('[...document.querySelectorAll("section")].map(node => node.id)')
        for wanted in ['overview', 'architecture', 'sizes', 'layers', 'heads', 'tensors']:
            require(wanted in ids, 'there is no section %s' % wanted)
        drawn = page.tab.text_content('#diagram')
        for word in ['Embeddings', 'Self-attention', 'Feed-forward', 'query', 'Add & norm', '× %d' % info['config']['num_hidden_layers']]:
            require(word in drawn, 'the drawing lacks %s' % word)
        shown = page.run('[...document.querySelectorAll("table.ranks tbody td")].map(cell => Number(cell.textContent))')
        wanted = [head['effective_rank'] for part in info['attention'] for head in part['heads']]
        require(shown == wanted, 'ranks are %s, info says %s' % (shown, wanted))
        maps = page.run('document.querySelectorAll("#heads canvas").length')
        require(maps == 2 * len(info['attention']), 'there are %d heat maps' % maps)
        parts = page.run('[...document.querySelectorAll("#parts tr")].map(row => Number(row.children[1].textContent.replaceAll(",", "")))')
        require(sum(parts) == info['parameters'], 'parts sum up to %d of %d' % (sum(parts), info['parameters']))
        config = page.run('Object.fromEntries([...document.querySelectorAll("#config tr")].map(row => [row.children[0].textContent, row.children[1].textContent]))')
        for key, value in config.items():
            stated = info['config'][key]
            require(value == (str(stated).lower() if isinstance(stated, bool) else str(stated)) or math.isclose(float(value), float(stated)), '%s is %s' % (key, value))
    return '%d sections, %d heads' % (len(ids), len(wanted))


def keras_chain(count):
    """A Keras graph of many layers with ways around some of them, as a configuration beside its weights."""
    layers = [{'class_name': 'InputLayer', 'name': 'start', 'inbound_nodes': [], 'config': {'name': 'start', 'batch_input_shape': [None, 8]}}]
    made, last = {}, 'start'

    def add(name, kind, sources, **config):
        layers.append({'class_name': kind, 'name': name, 'config': {'name': name, **config}, 'inbound_nodes': [[[source, 0, 0, {}] for source in sources]]})

    random = np.random.default_rng(2)
    for number in range(count):
        before = last
        for step in range(3):
            name = 'block%d_dense%d' % (number, step)
            add(name, 'Dense', [last], units=8)
            suffix = '' if not made else '_%d' % (len(made) // 2)
            made['layers/dense%s/vars/0' % suffix] = random.normal(0, 1, (8, 8)).astype('float32')
            made['layers/dense%s/vars/1' % suffix] = random.normal(0, 1, 8).astype('float32')
            last = name
        add('block%d_add' % number, 'Add', [before, last])
        last = 'block%d_add' % number
    config = {'name': 'chain', 'layers': layers, 'input_layers': [['start', 0, 0]], 'output_layers': [[last, 0, 0]]}
    source = place('browser', 'chain.safetensors')
    save_file(made, source)
    source.with_suffix('.json').write_text(json.dumps({'class_name': 'Functional', 'config': config}))
    return source


# Boxes of layers, the ends of the ways between them, and what overlaps or is outside.
GRAPH = '''() => {
    const svg = document.querySelector('#graph svg'), size = svg.viewBox.baseVal;
    const rects = [...svg.querySelectorAll(':scope > rect.box, :scope > rect.frame')].map(node => ({x: node.x.baseVal.value, y: node.y.baseVal.value, w: node.width.baseVal.value, h: node.height.baseVal.value, isFrame: node.classList.contains('frame')}));
    const inside = (a, b) => a.x >= b.x && a.y >= b.y && a.x + a.w <= b.x + b.w && a.y + a.h <= b.y + b.h;
    const apart = (a, b) => a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
    let overlaps = 0;
    for (let i = 0; i < rects.length; i += 1) for (let j = i + 1; j < rects.length; j += 1) if (!apart(rects[i], rects[j]) && !(rects[i].isFrame && inside(rects[j], rects[i])) && !(rects[j].isFrame && inside(rects[i], rects[j]))) overlaps += 1;
    const outside = rects.filter(rect => rect.x < 0 || rect.y < 0 || rect.x + rect.w > size.width + 1 || rect.y + rect.h > size.height + 1).length;
    const wires = [...svg.querySelectorAll('path.wire')], hidden = [];
    let loose = 0, through = 0;
    for (const wire of wires) {
        const length = wire.getTotalLength(), start = wire.getPointAtLength(0), end = wire.getPointAtLength(length);
        if (!rects.some(rect => Math.abs(rect.y + rect.h - start.y) < 2 && start.x > rect.x && start.x < rect.x + rect.w)) loose += 1;
        if (!rects.some(rect => Math.abs(rect.y - end.y) < 7 && end.x > rect.x && end.x < rect.x + rect.w)) loose += 1;
        for (let at = 3; at < length - 3; at += 4) { const point = wire.getPointAtLength(at); if (rects.some(rect => !rect.isFrame && point.x > rect.x + 1 && point.x < rect.x + rect.w - 1 && point.y > rect.y + 1 && point.y < rect.y + rect.h - 1)) { through += 1; break; } }
    }
    const cut = [...svg.querySelectorAll('g.layer text')].filter(node => { const box = node.getBBox(); return box.x < 0 || box.x + box.width > size.width + 1; }).length;
    return {overlaps, outside, loose, through, cut, wires: wires.length, boxes: rects.length, layers: [...svg.querySelectorAll('g.layer')].map(node => node.dataset.key)};
}'''


def sound_graph(page):
    found = page.run(GRAPH)
    for fault in ['overlaps', 'outside', 'loose', 'through', 'cut']:
        require(found[fault] == 0, '%s: %d of %d boxes and %d ways' % (fault, found[fault], found['boxes'], found['wires']))
    return found


def check_graph(browser, fixture):
    """The drawing of a Keras graph: every layer that `info` lists, ways that end at boxes and pass through none, at every width."""
    source = FIXTURES / 'keras-models' / fixture
    path, _ = report('graph-' + fixture.split('/')[0], source)
    rows = ckpt('info', source, '--no-values')['keras']['layers']
    for width in (1440, 700, 360):
        with Page(browser, path, width) as page:
            if page.tab.query_selector('#graph-open'):
                page.tab.click('#graph-open')
            found = sound_graph(page)
            calls = {row['path'] + (':%d' % call if call else '') for row in rows for call in range(max(1, len(row['connected_to'])))}
            # What is applied again shows its inside once.
            require(set(found['layers']) == calls, 'drawn and listed layers differ: %s' % (set(found['layers']) ^ calls))
            require(page.fits(), 'the page is wider than a screen of %d' % width)
            if width == 1440:
                row = next(row for row in rows if row['parameters'] and row['depth'] == 0 and not any(other['path'].startswith(row['path'] + '.') for other in rows))
                page.run('key => document.querySelector(`#graph [data-key="${key}"]`).dispatchEvent(new MouseEvent("click"))', row['path'])
                shown = page.run('table.shown.map(one => one.tensor.name)')
                wanted = [one['name'] for one in ckpt('ls', source, '--canonical')['tensors'] if (one['canonical'] or '').startswith(row['path'] + '.')]
                require(sorted(shown) == sorted(wanted) and wanted, 'a click on %s shows %s' % (row['path'], shown))
            if SHOTS:
                page.run('document.getElementById("architecture").scrollIntoView()')
                page.run('document.getElementById("graph").style.maxHeight = "none"')
                page.tab.query_selector('#architecture').screenshot(path=os.path.join(SHOTS, 'graph-%s-%d.png' % (fixture.split('/')[0], width)))
    return '%d layers, %d ways' % (len(found['layers']), found['wires'])


def check_folding(browser):
    """Inner models open and fold by mouse and by keyboard."""
    path, _ = report('graph-nested', FIXTURES / 'keras-models' / 'nested' / 'keras2.h5')
    with Page(browser, path) as page:
        page.tab.click('#graph-fold')
        closed = sound_graph(page)['layers']
        require(not any('.' in key for key in closed), 'inner layers are shown: %s' % closed)
        page.tab.focus('#graph [data-key="encoder"]')
        page.tab.keyboard.press('Enter')
        require('encoder.patch_conv' in sound_graph(page)['layers'], 'Enter does not open')
        require(page.run('document.activeElement.dataset.key') == 'encoder' and page.run('document.activeElement.getAttribute("aria-expanded")') == 'true', 'the focus is lost')
        page.tab.keyboard.press('Enter')
        require(sound_graph(page)['layers'] == closed, 'Enter does not fold')
        page.tab.click('#graph-open')
        return '%d layers, %d with the inner ones' % (len(closed), len(sound_graph(page)['layers']))


def check_long_graph(browser):
    """A graph of 241 layers: drawn at once, scrolled inside its frame, each skip connection in a lane of its own."""
    path, _ = report('graph-chain', keras_chain(60))
    with Page(browser, path) as page:
        found = sound_graph(page)
        require(len(found['layers']) == 241 and found['wires'] == 180, '%d layers, %d ways' % (len(found['layers']), found['wires']))
        frame = page.run('(() => { const node = document.getElementById("graph"); return [node.clientHeight, node.scrollHeight, innerHeight]; })()')
        require(frame[0] < frame[2] < frame[1], 'the frame is %d of %d high' % (frame[0], frame[1]))
        spent = page.run('(() => { const start = performance.now(); document.getElementById("graph").replaceChildren(drawGraph(graphTree(data.model.keras.layers), 1200, new Set(), () => {})); return performance.now() - start; })()')
        require(spent < LONGEST_OPENING, 'drawing takes %d ms' % spent)
        require(page.fits(), 'the page is too wide')
    return '%d layers in %d boxes' % (len(found['layers']), found['boxes'])


def check_no_heads(browser):
    """--no-attention leaves the heads out."""
    path, said = report('no-heads', FIXTURES / 'hf-bert', '--no-attention')
    with Page(browser, path) as page:
        require(not said['attention'] and page.run('document.getElementById("heads")') is None, 'there are heads')
    return 'left out'


def check_difference(browser):
    """Two models: the verdict and the numbers of `diff --json`."""
    made = stack(6, 16)
    first, second = place('browser', 'first.safetensors'), place('browser', 'second.safetensors')
    save_file(made, first)
    changed = {name: values.copy() for name, values in made.items()}
    changed['blocks.4.mlp.up.weight'][3, 5] += 0.25
    changed['blocks.5.norm2.bias'] += np.float32(1e-3)
    changed['blocks.2.norm2.bias'][1] = np.inf
    del changed['blocks.0.norm1.bias']
    changed['新しい'] = np.ones(3, 'float32')
    save_file(changed, second)
    path, _ = report('difference', first, second)
    said = ckpt('diff', first, second, code=1)
    with Page(browser, path) as page:
        require(said['summary'].replace(' %', '\u00a0%') in page.tab.inner_text('#verdict'), 'the verdict is %s' % page.tab.inner_text('#verdict'))
        rows = {row['name']: row for row in page.rows()}
        compared = 0
        for pair in said['pairs']:
            row, numbers = rows[pair['first']['name']], pair['difference']
            require(row['state'] == pair['state'], '%s is %s' % (row['name'], row['state']))
            for key, digits in [('max_abs', 4), ('relative', 4), ('relative_norm', 4), ('cosine', 7), ('differing', 9)]:
                fine = row[key] == '∞' if numbers[key] is None else close(number(row[key]), numbers[key], digits)
                require(fine, '%s: %s is %s, diff says %r' % (row['name'], key, row[key], numbers[key]))
                compared += 1
        own = np.abs(changed['blocks.4.mlp.up.weight'].astype('float64') - made['blocks.4.mlp.up.weight']).max()
        require(close(number(rows['blocks.4.mlp.up.weight']['max_abs']), own, 4), 'NumPy says %r' % own)
        require(rows['blocks.0.norm1.bias']['state'] == 'only in the first' and rows['新しい']['state'] == 'only in the second', 'what is alone is not said')
        page.sort('max_abs')
        require(page.column('name')[:2] == ['blocks.2.norm2.bias', 'blocks.4.mlp.up.weight'], 'the largest changes are not first')
        page.tab.click('table.tensors tbody tr.row:nth-child(2) .name')
        detail = page.tab.inner_text('tr.detail')
        require('[3, 5]' in detail, 'the place of the largest difference is not said')
        page.filter('differing>0')
        require(len(page.rows()) == 3, 'differing>0 finds %d' % len(page.rows()))
    check_shared(browser)
    return '%d pairs, %d numbers' % (len(said['pairs']), compared)


def check_shared(browser):
    """Beside an untied copy a shared tensor has several rows, but its bytes count once."""
    shared, untied = FIXTURES / 'tiny-albert/weights.h5', place('browser', 'untied')
    ckpt('convert', shared, untied, '--to', 'huggingface', '--apply', 'untie', '--no-verify', '--overwrite')
    path, _ = report('untied', shared, untied)
    with Page(browser, path) as page:
        titles = page.tab.eval_on_selector_all('#sizes-map g g title', 'nodes => nodes.map(node => node.textContent)')
        require(titles and len(set(titles)) == len(titles), '%d areas of %d tensors' % (len(titles), len(set(titles))))


def check_hostile(browser):
    """Names that try to be code, of any script, with any values."""
    made = {name: np.arange(3, dtype='float32') + index for index, name in enumerate(HOSTILE)}
    made['special'] = np.array([np.nan, np.inf, -np.inf, 1, 0], 'float64')
    made['all nan'] = np.full(3, np.nan, 'float16')
    made['empty'] = np.zeros((2, 0, 3), 'float32')
    made['number'] = np.array(-1.5, 'float32')
    made['yes'] = np.array([True, False])
    made['large'] = np.array([1e300, -1e300, 5e-324], 'float64')
    source = place('browser', 'hostile </title><script> 层.safetensors')
    save_file(made, source)
    path, _ = report('hostile', source)
    # An infinite norm of 1e300 is nothing to fail on.
    for width in (1440, 360):
        with Page(browser, path, width) as page:
            require(page.run('document.title') == source.name, 'the title is %r' % page.run('document.title'))
            require(page.run('document.scripts.length') == 2 and page.run('document.images.length') == 0, 'a name became an element')
            require(sorted(page.column('name')) == sorted(made), 'names are changed')
            for index in range(len(made)):
                page.tab.click('tr.row[data-index="%d"] .name' % index)
            require(page.run('document.querySelectorAll("tr.detail").length') == len(made), 'rows do not open')
            # A line that is too low cuts off underscores.
            cut = page.run('[...document.querySelectorAll(".name span")].filter(node => node.scrollHeight > node.clientHeight).length')
            require(cut == 0, '%d names are cut off below' % cut)
            require(page.fits(), 'the page is wider than a screen of %d' % width)
            page.filter('__proto__')
            require(page.column('name') == ['__proto__'], 'it is not found')
    return '%d names' % len(made)


def check_sizes(browser):
    """A checkpoint of 1,000 tensors: a small page that opens at once, and all of it can be reached."""
    source = place('browser', 'thousand.safetensors')
    save_file(stack(63, 64), source)
    path, said = report('thousand', source)
    require(said['tensors'][0] > 1000, 'there are %d tensors' % said['tensors'][0])
    require(path.stat().st_size < LARGEST_PAGE, 'the page has %d bytes' % path.stat().st_size)
    with Page(browser, path) as page:
        times = page.run('''() => ({paint: performance.getEntriesByName('first-contentful-paint')[0].startTime, ready: performance.getEntriesByType('navigation')[0].domInteractive})''')
        require(max(times.values()) < LONGEST_OPENING, 'it opens in %s' % times)
        before = page.run('performance.now()')
        page.sort('l2')
        sorting = page.run('performance.now()') - before
        require(page.run('table.rendered < table.shown.length'), 'every row is drawn at once')
        require(len(page.rows()) == said['tensors'][0], 'not every row can be reached')
        # Whoever is at the end of the new rows before the page looks again is given the next.
        page.sort('name')
        page.run('''() => {
            const toEnd = () => { table.frame.scrollTop = table.frame.scrollHeight; };
            new MutationObserver(toEnd).observe(table.body, {childList: true});
            toEnd();
        }''')
        page.tab.wait_for_function('() => table.rendered === table.shown.length')
    return '%.2f MB, painted after %.0f ms, ready after %.0f, sorted in %.0f' % (path.stat().st_size / 1e6, times['paint'], times['ready'], sorting)


def check_widths(browser):
    """No page is wider than its screen, from a telephone to a large monitor; text is not cut off."""
    count = 0
    for name in ['model', 'difference', 'hostile', 'thousand', 'untied']:
        if name == 'untied':
            report(name, FIXTURES / 'b4k-t5')
        for width in (360, 720, 1024, 1920, 2560):
            with Page(browser, place('browser', name + '.html'), width) as page:
                page.tab.wait_for_timeout(60)
                wide = page.run('document.documentElement.scrollWidth')
                require(wide <= width, '%s is %d wide on %d' % (name, wide, width))
                if SHOTS:
                    page.tab.screenshot(path='%s/%s-%d.png' % (SHOTS, name, width), full_page=True)
                count += 1
    return '%d pages' % count


def check_paper(browser):
    """On paper every row is there, and no controls."""
    path = place('browser', 'sorting.html')
    with Page(browser, path) as page:
        pdf = page.tab.pdf(prefer_css_page_size=True)
        require(pdf.startswith(b'%PDF') and len(re.findall(rb'/Type\s*/Page\b', pdf)) > 1, 'there is no paper')
        if SHOTS:
            with open(SHOTS + '/paper.pdf', 'wb') as file:
                file.write(pdf)
        require(page.run('table.rendered === table.shown.length'), 'rows are missing on paper')
        page.tab.emulate_media(media='print')
        for gone in ['nav', '#filter', '.keys']:
            require(not page.tab.is_visible(gone), '%s is printed' % gone)
        require(page.run('getComputedStyle(table.frame).overflow') == 'visible', 'the table is cut off')
        require(page.run('[...document.querySelectorAll("details")].every(one => one.open)'), 'something is closed')
    return '%d bytes' % len(pdf)


def check_odd(browser):
    """One number, no tensors at all, and a model that its configuration contradicts."""
    single = place('browser', 'one.npy')
    np.save(single, np.float32(3.25))
    path, _ = report('one', single)
    with Page(browser, path) as page:
        require(len(page.rows()) == 1 and number(page.rows()[0]['min']) == 3.25, 'it is not there')
    none = place('browser', 'none.safetensors')
    save_file({}, none)
    path, _ = report('none', none)
    with Page(browser, path) as page:
        require('There are no tensors' in page.tab.inner_text('#tensors'), 'that is not said')
    broken = place('browser', 'broken.html')
    said = ckpt('report', FIXTURES / 'hf-bert', '--set', 'hidden_size=77', '-o', broken, '--overwrite', code=2)
    require(said['page'] == str(broken), 'the page is not told')
    with Page(browser, broken) as page:
        require('hidden_size' in page.tab.inner_text('#concerns'), 'the error is not on the page')
    again = place('browser', 'one.html')
    require('exists' in ckpt('report', single, '-o', again, code=64)['error']['message'], 'a page is overwritten')
    return 'one, none, broken'


def main():
    if not CHROMIUM:
        raise SystemExit('no chromium was found; install it or set CHROMIUM=/path/to/it')
    if SHOTS:
        os.makedirs(SHOTS, exist_ok=True)
    with sync_playwright() as playwright:
        # As root there is no sandbox; every page is of our own making.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'] if os.geteuid() == 0 else [])
        run_checks([
            ('report: numbers of hf-bert', check_numbers, browser, 'hf-bert/model.safetensors'),
            ('report: an opened row', check_detail, browser),
            ('report: model', check_model, browser),
            ('report: without heads', check_no_heads, browser),
            ('report: graph of resnet', check_graph, browser, 'resnet/keras2.h5'),
            ('report: graph of inner models', check_graph, browser, 'nested/keras3.keras'),
            ('report: graph, folding', check_folding, browser),
            ('report: graph of 241 layers', check_long_graph, browser),
            ('report: sorting', check_sorting, browser),
            ('report: filter', check_filter, browser),
            ('report: keyboard', check_keyboard, browser),
            ('report: themes', check_themes, browser),
            ('report: difference', check_difference, browser),
            ('report: hostile names', check_hostile, browser),
            ('report: 1,000 tensors', check_sizes, browser),
            ('report: widths', check_widths, browser),
            ('report: paper', check_paper, browser),
            ('report: odd files', check_odd, browser),
        ])


if __name__ == '__main__':
    main()
