"""What `ckpt info` finds in models that transformers initialises and NumPy breaks, counted by NumPy; `ckpt hash` by hashlib."""
import hashlib
import json
import shutil

import numpy as np
from safetensors.numpy import load_file, save_file

from common import FIXTURES, ckpt, place, require, run_checks

# Family, sizes; each is initialised as its class does and saved at once.
FRESH = {
    'bert': ('BertForPreTraining', dict(num_hidden_layers=4, intermediate_size=96)),
    'albert': ('AlbertForMaskedLM', dict(num_hidden_layers=4, intermediate_size=96, embedding_size=24)),
    'roberta': ('RobertaForMaskedLM', dict(num_hidden_layers=4, intermediate_size=96, max_position_embeddings=40)),
    'distilbert': ('DistilBertForMaskedLM', dict(n_layers=4, hidden_dim=96, dim=48, n_heads=4)),
    'electra': ('ElectraForPreTraining', dict(num_hidden_layers=4, intermediate_size=96, embedding_size=24)),
    'gpt2': ('GPT2LMHeadModel', dict(n_layer=5, n_embd=48, n_head=4, n_positions=40)),
    't5': ('T5ForConditionalGeneration', dict(num_layers=4, d_model=48, d_ff=96, d_kv=12, num_heads=4)),
}


def fresh_model(family):
    import torch
    import transformers
    name, sizes = FRESH[family]
    model = getattr(transformers, name)
    if family not in ('gpt2', 't5', 'distilbert'):
        sizes = dict(sizes, hidden_size=48, num_attention_heads=4)
    torch.manual_seed(7)
    folder = place('health', family)
    model(model.config_class(vocab_size=200, **sizes)).save_pretrained(folder)
    return folder


def check_fresh(family):
    """No warning, and nothing but that it was never trained."""
    found = ckpt('info', fresh_model(family))
    kinds = [concern['kind'] for concern in found['concerns']]
    require(kinds == ['fresh'], '%s' % [concern['sentence'] for concern in found['concerns']])
    arrays = load_file(place('health', family, 'model.safetensors'))
    vectors = [array for array in arrays.values() if array.ndim == 1 and array.size > 1]
    initial = [array for array in vectors if (array == array[0]).all() and array[0] in (0, 1)]
    numbers = found['concerns'][0]['numbers']
    require(numbers == {'initial': len(initial), 'vectors': len(vectors)}, '%s, NumPy counts %d of %d' % (numbers, len(initial), len(vectors)))
    return found['concerns'][0]['sentence']


def broken(name, change):
    """hf-bert with other numbers, as a folder; and its arrays."""
    folder = place('health', name)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(FIXTURES / 'hf-bert', folder, ignore=shutil.ignore_patterns('*.npz'))
    arrays = {key: array.copy() for key, array in load_file(folder / 'model.safetensors').items()}
    change(arrays)
    save_file(arrays, folder / 'model.safetensors', metadata={'format': 'pt'})
    return folder, arrays


def concern(name, change, kind, code=0):
    folder, arrays = broken(name, change)
    found = ckpt('info', folder, code=code)
    kinds = [one['kind'] for one in found['concerns']]
    require(kinds == [kind], '%s' % [one['sentence'] for one in found['concerns']])
    return found, found['concerns'][0], arrays


EMBEDDINGS = 'bert.embeddings.word_embeddings.weight'
KERNEL = 'bert.encoder.layer.1.intermediate.dense.weight'


def check_not_finite():
    def change(arrays):
        generator = np.random.default_rng(3)
        flat = arrays[KERNEL].reshape(-1)
        flat[generator.choice(flat.size, 31, replace=False)] = np.nan
        flat[generator.choice(flat.size, 7, replace=False)] = np.inf
    found, one, arrays = concern('nan', change, 'not-finite')
    array = arrays[KERNEL]
    expected = {'nan': int(np.isnan(array).sum()), 'infinite': int(np.isinf(array).sum())}
    require(one['numbers'] == expected and one['tensors'] == [KERNEL], '%s' % one)
    first = [int(index) for index in np.argwhere(~np.isfinite(array))[0]]
    require(one['index'] == first, '%s, NumPy says %s' % (one['index'], first))
    require(found['numbers']['nan'] == expected['nan'], 'other sums')
    return one['sentence']


def check_float16():
    def change(arrays):
        generator = np.random.default_rng(4)
        flat = arrays[KERNEL].reshape(-1)
        places = generator.choice(flat.size, 40, replace=False)
        flat[places] = generator.uniform(-2, 2, 40).astype(np.float32) * 65510
    found, one, arrays = concern('float16', change, 'float16-overflow')
    with np.errstate(over='ignore'):
        halves = {key: array.astype(np.float16) for key, array in arrays.items()}
    expected = sum(int(np.isinf(half).sum()) for half in halves.values())
    require(one['numbers']['numbers'] == expected == found['numbers']['float16']['overflowing'], '%s, NumPy counts %d' % (one, expected))
    return one['sentence']


def check_rows():
    def change(arrays):
        arrays[EMBEDDINGS][[5, 17]] = 0
        arrays[EMBEDDINGS][40] = 0.5
        arrays[EMBEDDINGS][41] *= 1e-4
    found, one, arrays = concern('rows', change, 'dead-rows')
    table = arrays[EMBEDDINGS]
    norms = np.sqrt((table.astype(np.float64) ** 2).sum(axis=1))
    constant = (table == table[:, :1]).all(axis=1)
    median = np.sort(norms[~constant])[(~constant).sum() // 2]
    rows = next(rows for rows in found['embedding_rows'] if rows['tensor'] == EMBEDDINGS)
    require(rows['zero'] == np.flatnonzero(norms == 0).tolist(), 'zero rows %s' % rows['zero'])
    require(rows['constant'] == np.flatnonzero(constant & (norms > 0)).tolist(), 'constant rows %s' % rows['constant'])
    require(rows['short'] == np.flatnonzero(~constant & (norms < 0.01 * median)).tolist(), 'short rows %s' % rows['short'])
    require(abs(rows['median_norm'] / median - 1) < 1e-12, 'median %s, NumPy says %s' % (rows['median_norm'], median))
    require(one['numbers']['rows'] == 4, '%s' % one)
    return one['sentence']


def check_copied_rows():
    def change(arrays):
        arrays[EMBEDDINGS][[50, 60]] = arrays[EMBEDDINGS][20]
        arrays[EMBEDDINGS][71] = arrays[EMBEDDINGS][70]
    found, one, arrays = concern('copied-rows', change, 'copied-rows')
    rows = next(rows for rows in found['embedding_rows'] if rows['tensor'] == EMBEDDINGS)
    require(rows['equal'] == [[20, 50, 60], [70, 71]] and one['numbers'] == {'rows': 5, 'sets': 2}, '%s' % rows['equal'])
    return one['sentence']


def check_duplicate():
    def change(arrays):
        arrays[KERNEL] = arrays[KERNEL.replace('.1.', '.0.')].copy()
    _, one, _ = concern('duplicate', change, 'duplicate')
    require(sorted(one['tensors']) == [KERNEL.replace('.1.', '.0.'), KERNEL], '%s' % one)
    return one['sentence']


def check_copied_layer():
    def change(arrays):
        for name in list(arrays):
            if '.layer.0.' in name:
                noise = np.random.default_rng(len(name)).normal(size=arrays[name].shape)
                arrays[name.replace('.0.', '.1.')] = (arrays[name] + 0.1 * arrays[name].std() * noise).astype(np.float32)
    found, one, arrays = concern('copied-layer', change, 'copied-layers')
    pairs = [(arrays[name], arrays[name.replace('.0.', '.1.')]) for name in sorted(arrays) if '.layer.0.' in name and arrays[name].ndim == 2]
    a, b = (np.concatenate([pair[side].reshape(-1) for pair in pairs]).astype(np.float64) for side in (0, 1))
    cosine = a @ b / np.sqrt((a @ a) * (b @ b))
    copies = found['layer_copies'][0]
    require(abs(copies['cosine'] - cosine) < 1e-9 and not copies['exact'], '%s, NumPy says %.12f' % (copies, cosine))
    return one['sentence']


def check_missing():
    def change(arrays):
        for name in list(arrays):
            if name.endswith('attention.self.key.weight'):
                del arrays[name]
    found, one, _ = concern('missing', change, 'missing', code=2)
    layers = found['config']['num_hidden_layers']
    require(one['tensors'] == ['layers.%d.attention.key.kernel' % layer for layer in range(layers)], '%s' % one['tensors'])
    require('layers.0.attention.key.kernel' in found['error']['message'], '%s' % found['error'])
    return one['sentence']


def check_hash():
    """Digests are those of hashlib, and --check names what NumPy has changed."""
    folder, arrays = broken('hash', lambda arrays: None)
    printed = ckpt('hash', folder, '--per-tensor')
    digests = {tensor['name']: tensor['sha256'] for tensor in printed['tensors']}
    require(digests == {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}, 'other digests')
    manifest = place('health', 'manifest.json')
    manifest.write_text(json.dumps(printed))
    require(ckpt('hash', folder, '--check', manifest)['equal'], 'not equal to itself')

    def change(arrays):
        arrays[KERNEL][0, 0] += 1
        arrays['other.weight'] = arrays.pop('cls.predictions.bias')
        del arrays['bert.pooler.dense.bias']
        arrays['new'] = np.zeros(3, np.float32)
    folder, _ = broken('hash-changed', change)
    found = ckpt('hash', folder, '--check', manifest, code=1)
    require([change['found']['name'] for change in found['changed']] == [KERNEL], '%s' % found['changed'])
    require([(pair['expected']['name'], pair['found']['name']) for pair in found['renamed']] == [('cls.predictions.bias', 'other.weight')], '%s' % found['renamed'])
    require([tensor['name'] for tensor in found['missing']] == ['bert.pooler.dense.bias'], '%s' % found['missing'])
    require([tensor['name'] for tensor in found['new']] == ['new'], '%s' % found['new'])
    return '%d digests, 4 differences named' % len(digests)


def checks():
    for family in FRESH:
        yield 'health of a fresh %s' % family, check_fresh, family
    for function in (check_not_finite, check_float16, check_rows, check_copied_rows, check_duplicate, check_copied_layer, check_missing):
        yield 'health, %s' % function.__name__.removeprefix('check_').replace('_', ' '), function
    yield 'hash of hashlib', check_hash


if __name__ == '__main__':
    run_checks(checks())
