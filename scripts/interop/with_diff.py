"""What `ckpt diff` says of two checkpoints is what NumPy computes, and what was done to one of them."""
import copy

import ml_dtypes
import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
import transformers

from common import FIXTURES, ckpt, convert, label, load_json, place, require, run_checks
from transformers_models import load

# Kind of number, the integer of its width.
FLOATS = {'float64': 'int64', 'float32': 'int32', 'float16': 'int16', 'bfloat16': 'int16'}
INTEGERS = ['int64', 'int32', 'int16', 'int8', 'uint64', 'uint32', 'uint16', 'uint8', 'bool']
NAMES = {'float64': 'f64', 'float32': 'f32', 'float16': 'f16', 'bfloat16': 'bf16'}


def kind(dtype):
    return np.dtype(ml_dtypes.bfloat16) if dtype == 'bfloat16' else np.dtype(dtype)


def save(name, arrays):
    path = place('diff', name + '.safetensors')
    safetensors.numpy.save_file({key: np.array(value, order='C') for key, value in arrays.items()}, path)
    return path


def pairs_of(said):
    return {pair['first']['name']: pair for pair in said['pairs']}


# Numbers


def halves(dtype):
    """Two arrays that differ here and there by little, by much, by sign of zero, by NaN and infinity."""
    random = np.random.default_rng(7)
    first = random.standard_normal((37, 211)).astype(kind(dtype))
    second = first.copy()
    places = random.integers(0, first.size, 900)
    second.ravel()[places] = (second.ravel()[places].astype('float64') * (1 + random.standard_normal(900) * 1e-2)).astype(kind(dtype))
    if dtype != 'float64':  # neighbours
        bits = second.ravel().view(FLOATS[dtype])
        bits[random.integers(0, first.size, 50)] += 1
    a, b = first.ravel(), second.ravel()
    tiny = ml_dtypes.finfo(kind(dtype)).smallest_subnormal
    for index, (x, y) in enumerate([(0.0, -0.0), (np.nan, np.nan), (np.inf, np.inf), (tiny, -tiny), (tiny, 0.0)]):
        a[100 + index], b[100 + index] = x, y
    return first, second


def spoilt(dtype):
    first, second = halves(dtype)
    first.ravel()[5000], second.ravel()[4000], second.ravel()[6000], first.ravel()[7000] = np.nan, np.nan, np.inf, -np.inf
    return first, second


def ordered(values, dtype):
    """Numbers of a type counted from zero, on either side."""
    bits = values.view(FLOATS[dtype]).astype(object)
    low = -(1 << (8 * values.itemsize - 1))
    return np.where(bits < 0, low - bits, bits)


def expect(found, first, second, dtype, atol=0.0, rtol=0.0):
    a, b = (x.astype('longdouble' if dtype in INTEGERS else 'float64').ravel() for x in (first, second))
    if dtype in INTEGERS:
        differ = first.ravel() != second.ravel()
    else:
        differ = (a != b) & ~(np.isnan(a) & np.isnan(b))
    require(found['count'] == a.size, 'count %s' % found['count'])
    require(found['differing'] == int(differ.sum()), 'differing %s, NumPy %d' % (found['differing'], differ.sum()))
    with np.errstate(all='ignore'):
        beyond = differ & ~np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
        delta = np.abs(a - b)
    require(found['beyond'] == int(beyond.sum()), 'beyond %s, NumPy %d' % (found['beyond'], beyond.sum()))
    finite = np.isfinite(a) & np.isfinite(b)
    apart = differ & ~finite
    if apart.any():
        require(found['max_abs'] is None, 'max |Δ| %s, not infinite' % found['max_abs'])
        worst = int(np.flatnonzero(apart)[0])
    elif differ.any():
        worst = int(np.argmax(np.where(finite, delta, 0)))
        require(np.isclose(found['max_abs'], float(delta[worst]), rtol=1e-15), 'max |Δ| %s, NumPy %s' % (found['max_abs'], delta[worst]))
    if differ.any():
        index = list(map(int, np.unravel_index(worst, first.shape)))
        require(found['worst']['index'] == index, 'at %s, NumPy %s' % (found['worst']['index'], index))
        for side, array in (('first', a), ('second', b)):
            value = found['worst'][side]
            require(value is None and not np.isfinite(array[worst]) or value == float(array[worst]), '%s is %s, NumPy %s' % (side, value, array[worst]))
    x, y = a[finite], b[finite]
    if x.size and np.any(x) and np.any(y):
        cosine = float(x @ y / np.sqrt((x @ x) * (y @ y)))
        require(abs(found['cosine'] - cosine) <= 1e-12, 'cosine %s, NumPy %s' % (found['cosine'], cosine))
        change = float(np.linalg.norm((x - y).astype('float64')) / np.linalg.norm(x.astype('float64')))
        require(np.isclose(found['relative_norm'], change, rtol=1e-12), '‖Δ‖/‖A‖ %s, NumPy %s' % (found['relative_norm'], change))
    require(found['nan_in_both'] == int((np.isnan(a) & np.isnan(b)).sum()), 'NaN in both %s' % found['nan_in_both'])
    require(found['nan_in_first'] == int((np.isnan(a) & ~np.isnan(b)).sum()), 'NaN in A %s' % found['nan_in_first'])
    require(found['nan_in_second'] == int((~np.isnan(a) & np.isnan(b)).sum()), 'NaN in B %s' % found['nan_in_second'])
    if dtype in FLOATS:
        steps = np.abs(ordered(first, dtype) - ordered(second, dtype)).ravel()[finite]
        require(found['ulp'] == int(max(steps, default=0)), 'ulp %s, NumPy %s' % (found['ulp'], max(steps, default=0)))
    else:
        require(found['ulp'] is None, 'ulp %s of integers' % found['ulp'])


def check_numbers(dtype, atol, rtol):
    random = np.random.default_rng(3)
    if dtype in FLOATS:
        cases = {'some': halves(dtype), 'spoilt': spoilt(dtype)}
        cases['nan'] = tuple(np.full((3, 5), np.nan).astype(kind(dtype)) for _ in range(2))
        cases['number'] = (np.array(1.5).astype(kind(dtype)), np.array(-1.25).astype(kind(dtype)))
    else:
        raw = random.integers(0, 2, (2, 300, 41), 'uint8') if dtype == 'bool' else random.integers(0, 256, (2, 300, 41 * kind(dtype).itemsize), 'uint8')
        first, second = raw[0].view(dtype), raw[1].view(dtype)
        cases = {'some': (first, second), 'same': (first, first)}
        if dtype == 'int64':  # beyond what a double tells apart
            cases['large'] = (np.array([2**62, 5]), np.array([2**62 + 1, 5]))
    cases['empty'] = (np.zeros((0, 3), kind(dtype)),) * 2
    a, b = (save('numbers-%s-%d' % (dtype, side), {name: pair[side] for name, pair in cases.items()}) for side in (0, 1))
    said = ckpt('diff', a, b, '--atol', atol, '--rtol', rtol, code=1)
    for name, pair in pairs_of(said).items():
        expect(pair['difference'], *cases[name], dtype, atol, rtol)
    return '%d tensors as NumPy' % len(said['pairs'])


def check_types(wide, narrow):
    """Two types are compared by value, and rounding is told from all else."""
    random = np.random.default_rng(5)
    first = (random.standard_normal((40, 50)) * 1e-3).astype(kind(wide))
    second = first.astype(kind(narrow))
    other = second.copy()
    other.ravel()[77] = other.ravel()[77] * 2
    a = save('types-a', {'round': first, 'wrong': first})
    b = save('types-b', {'round': second, 'wrong': other})
    for x, y, turned in ((a, b, False), (b, a, True)):
        found = pairs_of(ckpt('diff', x, y, code=1))
        delta = np.abs(first.astype('float64') - second.astype('float64'))
        require(found['round']['state'] == 'rounded' and found['round']['difference']['rounded'] == NAMES[narrow], 'state %s' % found['round']['state'])
        require(found['round']['difference']['max_abs'] == float(delta.max()), 'max |Δ| %s' % found['round']['difference']['max_abs'])
        require(found['wrong']['state'] == 'changed' and found['wrong']['difference']['worst']['index'] == [1, 27], 'the wrong one: %s' % found['wrong']['difference'])
    return 'both ways'


# Formats


def check_formats(source, targets):
    """The same model in every format and dialect, against each other."""
    paths = [FIXTURES / source]
    for number, (suffix, options) in enumerate(targets):
        path = place('diff', 'formats', label(source, number) + suffix)
        convert(FIXTURES / source, path, '--no-verify', *options)
        paths.append(path)
    for first in paths:
        for second in paths:
            said = ckpt('diff', first, second)
            wanted = 'same-weights' if first != second else 'identical'
            require(said['equal'] and said['verdict'] in (wanted, 'identical'), '%s and %s: %s' % (first, second, said['summary']))
            require(said['matching'] == 'meaning', '%s and %s are matched by %s' % (first, second, said['matching']))
    return '%d × %d equal' % (len(paths), len(paths))


HF = ['--to', 'huggingface']
EVERY = [('.h5', ['--to', 'bert4keras']), ('.safetensors', HF), ('.bin', HF), ('.npz', ['--format', 'npz', *HF]),
         ('', ['--to', 'google', '--format', 'tf'])]


# What was done to one


def folder_of(name, model, source):
    path = place('diff', name, 'model.safetensors').parent
    model.save_pretrained(path)
    return path


def trained(model, steps, rate, frozen=()):
    """Some steps of AdamW towards random labels."""
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = not any(word in name for word in frozen)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate)
    for _ in range(steps):
        tokens = torch.randint(1, model.config.vocab_size, (4, 16))
        loss = model(input_ids=tokens, labels=torch.randint(0, 2, (4,))).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def check_fine_tuned(source, frozen, name):
    _, base = load(FIXTURES / source)
    transformers.set_seed(0)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(FIXTURES / source, num_labels=2)
    folder = folder_of('tuned-' + name, trained(model, 8, 1e-3, frozen), source)
    said = ckpt('diff', FIXTURES / source, folder, code=1)
    require(said['verdict'] == 'fine-tuned', 'said to be %s: %s' % (said['verdict'], said['summary']))
    before, after = dict(base.named_parameters()), dict(model.named_parameters())
    for pair in said['pairs']:
        first, second = (tensors[pair[side]['name']].detach().double() for tensors, side in ((before, 'first'), (after, 'second')))
        change = float((first - second).norm() / first.norm()) if first.norm() > 0 else None
        found = pair['difference']['relative_norm']
        require(found == change or np.isclose(found or 0, change or 0, rtol=1e-9), '%s: %s, PyTorch %s' % (pair['first']['name'], found, change))
    heads = {entry['name'] for entry in said['only_in_second']}
    require({'classifier.weight', 'classifier.bias'} <= heads, 'only in the second: %s' % sorted(heads))
    untouched = {part['name'] for part in said['parts'] if part['changed'] == 0}
    require(('embeddings' in untouched) == bool(frozen), 'untouched parts: %s' % sorted(untouched))
    return '%s, %d pairs as PyTorch' % (said['summary'], len(said['pairs']))


def check_unrelated():
    config = transformers.BertConfig(vocab_size=200, hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, max_position_embeddings=32)
    folders = []
    for seed in (1, 2):
        transformers.set_seed(seed)
        folders.append(folder_of('random-%d' % seed, transformers.BertForMaskedLM(config), None))
    said = ckpt('diff', *folders, code=1)
    require(said['verdict'] == 'unrelated', 'said to be %s: %s' % (said['verdict'], said['summary']))
    return said['summary']


def check_one_value(source, options, name, index):
    """One value of a copy in another format is changed."""
    target = place('diff', 'one', label(source) + '.safetensors')
    convert(FIXTURES / source, target, '--no-verify', *options)
    arrays = safetensors.numpy.load_file(target)
    before = float(arrays[name][index])
    arrays[name][index] = 0.625
    safetensors.numpy.save_file(arrays, target, {'format': 'pt'})
    said = ckpt('diff', FIXTURES / source, target, code=1)
    require(said['verdict'] == 'edited', 'said to be %s: %s' % (said['verdict'], said['summary']))
    changed = [pair for pair in said['pairs'] if pair['state'] == 'changed']
    require(len(changed) == 1 and changed[0]['second']['name'] == name, 'changed: %s' % changed)
    worst = changed[0]['difference']['worst']
    # Kernels are turned round in PyTorch; indices are those of the canonical layout.
    require(worst['index'] == list(reversed(index)) and worst['first'] == before and worst['second'] == 0.625, 'at %s' % worst)
    require(ckpt('diff', FIXTURES / source, target, '--atol', 10)['equal'], 'a wide tolerance does not pass')
    return said['summary']


def check_cast(source, dtype):
    target = place('diff', 'cast-' + dtype)
    convert(FIXTURES / source, target, *HF, '--dtype', dtype, '--no-verify')
    said = ckpt('diff', FIXTURES / source, target, code=1)
    require(said['verdict'] == 'rounded', 'said to be %s: %s' % (said['verdict'], said['summary']))
    require(ckpt('diff', FIXTURES / source, target, '--atol', 0.05)['equal'], 'a tolerance does not pass')
    return said['summary']


def check_rows(source, token):
    """Some rows of the token table."""
    _, model = load(FIXTURES / source)
    kept = [0, 3, 5, 8, 13, 21, 34, 55]
    small = copy.deepcopy(model)
    table = model.get_input_embeddings().weight.detach()[kept]
    small.resize_token_embeddings(len(kept))
    with torch.no_grad():
        small.get_input_embeddings().weight.copy_(table)
        small.cls.predictions.bias.copy_(model.cls.predictions.bias[kept])
    folder = folder_of('rows', small, source)
    said = ckpt('diff', FIXTURES / source, folder, code=1)
    rows = next(pair['rows'] for pair in said['pairs'] if pair['first']['canonical'] == token)
    require(said['verdict'] == 'resized', 'said to be %s: %s' % (said['verdict'], said['summary']))
    require(rows == {'first': model.config.vocab_size, 'second': 8, 'kept': 8, 'in_order': True, 'prefix': False}, 'rows: %s' % rows)
    return said['summary']


# Guesses


def guessed(name, first, second, code):
    a, b = save(name + '-a', first), save(name + '-b', second)
    both = [ckpt('diff', *pair, '--guess', code=code) for pair in ((a, b), (b, a))]
    return [pairs_of(said) for said in both] + both


def check_guess():
    """Every tensor has its own content; each way of hiding it is found, from either side."""
    random = np.random.default_rng(9)
    f = lambda *shape: random.standard_normal(shape).astype('float32')
    first = {'plain': f(20, 30), 'square': f(24, 24), 'turned': f(20, 31), 'heads': f(24, 6, 4), 'axes': f(5, 6, 7), 'flat': f(8, 9), 'half': f(10, 11), 'brain': f(10, 12), 'vector': f(50)}
    second = {'renamed': first['plain'], 'turned square': first['square'].T, 'other way': first['turned'].T, 'one matrix': first['heads'].reshape(24, 24).T,
              'other axes': first['axes'].transpose(2, 0, 1), 'one axis': first['flat'].ravel(), 'f16': first['half'].astype('float16'),
              'bf16': first['brain'].astype(ml_dtypes.bfloat16), 'again': first['vector']}
    partners = dict(zip(first, second))
    forth, back, said, _ = guessed('guess', first, second, 1)
    for mine, theirs in partners.items():
        require(forth[mine]['second']['name'] == theirs, '%s is said to be %s' % (mine, forth[mine]['second']['name']))
        require(back[theirs]['second']['name'] == mine, '%s is said to be %s' % (theirs, back[theirs]['second']['name']))
    turned = {name for name, pair in forth.items() if pair['transposed']}
    require(turned == {'square', 'turned', 'heads', 'axes'}, 'turned: %s' % turned)
    require({name for name, pair in forth.items() if pair['reshaped']} == {'heads', 'flat'}, 'reshaped')
    require(said['verdict'] == 'rounded', said['summary'])
    return '%d found' % len(forth)


def check_fused(how):
    """Queries, keys and values of several layers in one tensor each."""
    random = np.random.default_rng(13)
    first, second, width, size = {}, {}, 48, 12
    for layer in range(4):
        parts = {name: random.standard_normal((width, width)).astype('float32') for name in 'qkv'}
        # The biases of a layer that was not trained are all zero, and any order of them is right.
        biases = {name: np.zeros(width, 'float32') if layer == 2 else random.standard_normal(width).astype('float32') for name in 'qkv'}
        for name in 'qkv':
            first['layers.%d.%s.weight' % (layer, name)], first['layers.%d.%s.bias' % (layer, name)] = parts[name], biases[name]
        weights, vectors = list(parts.values()), list(biases.values())
        if how == 'stacked':
            fused, bias = np.concatenate(weights), np.concatenate(vectors)
        elif how == 'side by side':
            fused, bias = np.concatenate(weights, 1), np.concatenate(vectors)
        elif how == 'turned':
            fused, bias = np.concatenate([x.T for x in weights], 1), np.concatenate(vectors)
        else:
            fused = np.stack([x.reshape(-1, size, width) for x in weights], 1).reshape(-1, width)
            bias = np.stack([x.reshape(-1, size) for x in vectors], 1).ravel()
        second['h.%d.qkv.w' % layer], second['h.%d.qkv.b' % layer] = fused, bias
    forth, back, said, other = guessed('fused-' + label(how), first, second, 0)
    require(len(forth) == len(first) and len(other['pairs']) == len(first), 'pairs: %d and %d' % (len(forth), len(other['pairs'])))
    for name, pair in forth.items():
        layer, part, _ = name.split('.')[1:]
        require(pair['second']['name'].startswith('h.%s.qkv' % layer), '%s is said to be in %s' % (name, pair['second']['name']))
        if how == 'heads' and name == 'layers.2.%s.bias' % part:
            continue  # zeros, which may as well be stacked
        piece = pair['piece']
        want = 'qkv'.index(part) * (size if how == 'heads' else width)
        require(piece['of'] == 'second' and piece['start'] == want and piece['count'] == (4 if how == 'heads' else 1), '%s: %s' % (name, piece))
    return said['summary']


def check_renamed_and_tuned():
    """Names of another script, and every value moved a little: the nearest of its shape."""
    arrays = safetensors.numpy.load_file(FIXTURES / 'hf-bert/model.safetensors')
    random = np.random.default_rng(17)
    moved = {'net.%d' % number: (value + random.standard_normal(value.shape) * 0.02 * np.abs(value).mean()).astype(value.dtype) for number, value in enumerate(arrays.values())}
    names = dict(zip(arrays, moved))
    a, b = save('tuned-a', {'x.' + name: value for name, value in arrays.items()}), save('tuned-b', moved)
    said = ckpt('diff', a, b, '--guess', code=1)
    require(said['verdict'] == 'fine-tuned', 'said to be %s: %s' % (said['verdict'], said['summary']))
    wrong = [name for name, pair in pairs_of(said).items() if pair['second']['name'] != names[name[2:]]]
    require(not wrong and len(said['pairs']) == len(arrays), '%d pairs, wrong: %s' % (len(said['pairs']), wrong))
    return said['summary']


CHECKS = [('diff: numbers of %s, atol %g, rtol %g' % (dtype, atol, rtol), check_numbers, dtype, atol, rtol)
          for dtype in [*FLOATS, *INTEGERS] for atol, rtol in ((0, 0), (1e-3, 0), (1e-4, 5e-3))]
CHECKS += [('diff: %s and %s' % (wide, narrow), check_types, wide, narrow)
           for wide, narrow in (('float32', 'float16'), ('float32', 'bfloat16'), ('float64', 'float32'), ('float64', 'float16'), ('float64', 'bfloat16'))]
CHECKS += [('diff: formats of ' + source, check_formats, source, targets) for source, targets in (
    ('b4k-bert/weights.h5', EVERY), ('hf-bert/model.safetensors', EVERY), ('b4k-albert/weights.h5', EVERY), ('b4k-electra/weights.h5', EVERY[:3]),
    ('hf-gpt2', EVERY[:4]), ('b4k-t5/weights.h5', EVERY[:1]))]
CHECKS += [
    ('diff: fine-tuned', check_fine_tuned, 'hf-bert', (), 'all'),
    ('diff: fine-tuned, embeddings frozen', check_fine_tuned, 'hf-bert', ('embeddings',), 'frozen'),
    ('diff: unrelated', check_unrelated),
    ('diff: one value', check_one_value, 'b4k-bert/weights.h5', HF, 'bert.encoder.layer.1.intermediate.dense.weight', (5, 3)),
    ('diff: f16', check_cast, 'hf-bert', 'f16'), ('diff: bf16', check_cast, 'hf-bert', 'bf16'),
    ('diff: rows', check_rows, 'hf-bert', 'embeddings.token'),
    ('diff: guess', check_guess),
    *[('diff: fused, ' + how, check_fused, how) for how in ('stacked', 'side by side', 'turned', 'heads')],
    ('diff: renamed and trained on', check_renamed_and_tuned),
]

if __name__ == '__main__':
    run_checks(CHECKS)
