"""Keras' load_model takes whole models of bert4keras that ckpt transformed: its graph is that of the changed weights."""
import json

import numpy as np

from bert4keras_models import compute, keras, load
from common import EPSILONS, FIXTURES, ROUNDING, ckpt, place, require, run_checks

# fixture, steps, what the result is compared with: the source, or what bert4keras builds itself and loads the same weights into
# (`built`, with what its own epsilons may differ by)
CASES = [
    ('b4k-albert', ['untie'], 'source'),
    ('b4k-albert', ['untie', 'widen-ffn=90'], 'source'),
    ('b4k-albert', ['untie', 'drop-layers=1,3'], 'built'),
    ('b4k-albert', ['drop-layers=2'], 'built'),
    ('b4k-albert', ['untie', 'tie'], 'source'),
    ('b4k-bert', ['widen-key-size=20'], 'source'),
    ('b4k-bert', ['widen-ffn=100'], 'source'),
    ('b4k-bert', ['extend-positions=64'], 'source'),
    ('b4k-bert', ['drop-layers=1'], 'built'),
    ('b4k-bert', ['drop-layers=0'], 'built'),
    ('b4k-bert', ['keep-tokens'], 'kept'),
    ('b4k-roformer', ['widen-key-size=20', 'drop-layers=0'], 'built'),
    ('b4k-nezha', ['drop-layers=1', 'widen-ffn=100'], 'built'),
    ('b4k-gpt2', ['drop-layers=0'], 'built'),
]


def arrays(folder):
    with np.load(FIXTURES / folder / 'inputs.npz') as data:
        return {name: data[name] for name in data.files}


def compared(ours, theirs, tolerance):
    shared = sorted(set(ours) & set(theirs))
    require('last_hidden_state' in shared, 'nothing to compare: %s, %s' % (sorted(ours), sorted(theirs)))
    worst = 0
    for name in shared:
        require(ours[name].shape == theirs[name].shape, '%s: shapes %s, %s' % (name, ours[name].shape, theirs[name].shape))
        difference = float(np.abs(ours[name] - theirs[name]).max() / np.abs(theirs[name]).max())
        require(difference <= tolerance, '%s differs by %.1e' % (name, difference))
        worst = max(worst, difference)
    return '%s, largest difference %.1e' % (', '.join(shared), worst)


def check(folder, steps, reference):
    keras.backend.clear_session()
    source, inputs = FIXTURES / folder / 'model.h5', arrays(folder)
    token = next(name for name in inputs if name.endswith('Token'))
    kept = None
    if reference == 'kept':
        kept = sorted({0, *np.unique(inputs[token]).astype(int).tolist(), 5, 7})
        path = place('whole', folder + '-keep.json')
        path.write_text(json.dumps(kept))
        steps = ['keep-tokens=%s' % path]
    flags = [word for step in steps for word in ('--apply', step)]
    whole = place('whole', folder, '-'.join(step.split('=')[0] for step in steps) + '.h5')
    said = ckpt('convert', source, whole, *flags, '--overwrite')
    require(not any('weights only' in note for note in said['notes']), 'not whole: %s' % said['notes'])
    model = keras.models.load_model(str(whole), compile=False)
    if reference == 'built':
        bare = place('whole', folder, 'bare.h5')
        told = ckpt('convert', source, bare, '--to', 'bert4keras', *flags, '--overwrite', '--no-verify')
        other = load(told, bare)[1]
        return compared(compute(model, inputs), compute(other, inputs), EPSILONS)
    other = keras.models.load_model(str(source), compile=False)
    theirs = compute(other, inputs)
    if kept:
        numbers = {old: new for new, old in enumerate(kept)}
        inputs = dict(inputs, **{token: np.vectorize(numbers.get)(inputs[token].astype(int))})
        theirs = {name: theirs[name] for name in ('last_hidden_state', 'pooler_output') if name in theirs}
    return compared(compute(model, inputs), theirs, ROUNDING)


if __name__ == '__main__':
    run_checks([('whole %s: %s' % (folder, ', '.join(steps)), check, folder, steps, reference)
                for folder, steps, reference in CASES if (FIXTURES / folder / 'model.h5').exists()])
