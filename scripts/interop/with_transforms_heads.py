"""Steps on attention heads: bert4keras loads what they make and computes the original's numbers, or those of zeroed heads."""
import numpy as np

from bert4keras_models import build_transformer_model, compare, compute, keras, load
from bert4keras_talking_heads import talking_heads_bert  # beside the fixtures, as bert4keras_models has it
from common import FIXTURES, Expected, Worst, ckpt, convert, label, place, require, run_checks

HALVES = ('MultiHeadSelfAttention', 'MultiHeadCrossAttention')
MIXED = ['--apply', 'talking-heads:noise=0.4:seed=3']
FLAT = ['--apply', 'flatten-talking-heads']

# fixtures whose heads get mixed and flattened again
FAMILIES = ['b4k-bert', 'b4k-albert', 'b4k-nezha', 'b4k-gpt2', 'b4k-opt-sizes', 'b4k-t5-no-cross-bias']

# fixture, the list of heads, and which they are, by layer
PRUNED = [  # not NEZHA, which TensorFlow 2.15 cannot build with the one head that the fixture would have left
    ('b4k-bert', '*.1', lambda layer: [1]),
    ('b4k-bert', '0.0-1,1.0,1.2,2.1-2', lambda layer: [[0, 1], [0, 2], [1, 2]][layer]),
    ('b4k-albert', '0.1', lambda layer: [1]),
    ('b4k-roformer', '*.0', lambda layer: [0]),
    ('b4k-gpt2', '0.0,1.1', lambda layer: [layer]),
    ('b4k-opt-residual', '*.1', lambda layer: [1]),
    ('b4k-t5', '*.1', lambda layer: [1]),
]


def make(source, steps, *name):
    target = place('heads', label(*name) + '.h5')
    return convert(source, target, *steps), target


def weights(fixture):
    return FIXTURES / fixture / 'weights.h5'


def check_flattened():
    """A user's class with talking heads, as plain attention."""
    keras.backend.clear_session()
    fixture = 'b4k-opt-talking-heads'
    said, target = make(weights(fixture), FLAT, fixture, 'flat')
    kind, model = load(said, target)
    attention = next(layer for layer in model.layers if layer.name.endswith(HALVES[0]))
    require(attention.key_size == attention.head_size == 16, 'heads have %d and %d' % (attention.key_size, attention.head_size))
    return '%s, %s' % (kind, compare(model, Expected(fixture)))


def check_identity(fixture, arguments):
    """The class with talking heads loads the identity and computes what bert4keras' own attention does."""
    keras.backend.clear_session()
    _, target = make(weights(fixture), ['--apply', 'talking-heads'], fixture, 'identity')
    model = build_transformer_model(str(target.with_suffix('.config.json')), model=talking_heads_bert(), **arguments)
    model.load_weights(str(target))
    return str(compare(model, Expected(fixture)))


def check_mixed(fixture):
    """Plain attention of bert4keras against mixed heads in ckpt."""
    keras.backend.clear_session()
    _, mixed = make(weights(fixture), MIXED, fixture, 'mixed')
    said, flat = make(mixed, FLAT, fixture, 'mixed', 'flat')
    outputs = place('heads', label(fixture, 'mixed') + '.npz')
    ckpt('run', mixed, '--inputs', FIXTURES / fixture / 'inputs.npz', '--outputs', outputs)
    expected, worst = np.load(outputs), Worst()
    for name, ours in compute(load(said, flat)[1], Expected(fixture).inputs).items():
        worst.compare(name, ours, expected[name])
    return str(worst)


def zero(model, gone):
    """Sets the rows of heads in output kernels to zero; `gone(layer)` says which."""
    for half in HALVES:
        layers = [layer for layer in model.layers if layer.name.endswith(half)]
        numbers = {'Encoder': 0, 'Decoder': 0, '': 0}
        for layer in layers:
            stack = layer.name.partition('-')[0]
            stack = stack if stack in numbers else ''
            kernel, *bias = layer.o_dense.get_weights()
            for head in gone(numbers[stack]):
                kernel[head * layer.head_size:(head + 1) * layer.head_size] = 0
            layer.o_dense.set_weights([kernel, *bias])
            numbers[stack] += 1


def check_pruned(fixture, heads, gone):
    keras.backend.clear_session()
    inputs = Expected(fixture).inputs
    said, target = make(weights(fixture), ['--to', 'bert4keras'], fixture)
    original = load(said, target)[1]
    whole = compute(original, inputs)
    zero(original, gone)
    expected, worst = compute(original, inputs), Worst()
    name = 'last_hidden_state'
    require(not np.allclose(whole[name], expected[name], atol=1e-3), 'the heads do nothing')
    said, target = make(weights(fixture), ['--apply', 'prune-heads=' + heads], fixture, heads)
    for name, ours in compute(load(said, target)[1], inputs).items():
        worst.compare(name, ours, expected[name])
    return str(worst)


def checks():
    yield 'bert4keras flattened talking heads', check_flattened
    yield 'bert4keras talking heads b4k-opt-sizes', check_identity, 'b4k-opt-sizes', {'with_mlm': True}
    yield 'bert4keras talking heads b4k-opt-gated', check_identity, 'b4k-opt-gated', {}
    for fixture in FAMILIES:
        yield 'bert4keras mixed and flattened ' + fixture, check_mixed, fixture
    for fixture, heads, gone in PRUNED:
        yield 'bert4keras pruned %s %s' % (fixture, heads), check_pruned, fixture, heads, gone


if __name__ == '__main__':
    run_checks(checks())
