"""bert4keras loads what ckpt made of a model's layers: wider feed-forwards, shared layers, fewer layers."""
import re

from bert4keras_models import comparable, compare, compute, keras, load
from common import FIXTURES, Expected, Worst, convert, label, place, require, run_checks

# source, mask: the function stays what the fixture's library computed
WIDENED = [
    ('b4k-bert', 'bidirectional'), ('b4k-albert', 'bidirectional'), ('b4k-albert-unshared', 'bidirectional'),
    ('b4k-nezha', 'bidirectional'), ('b4k-roformer', 'bidirectional'), ('b4k-roformer-v2', 'bidirectional'),
    ('b4k-gau-alpha', 'long'), ('b4k-gpt', 'bidirectional'), ('b4k-gpt2', 'bidirectional'),
    ('b4k-gpt2-ml', 'bidirectional'), ('b4k-electra', 'bidirectional'), ('b4k-t5', 'bidirectional'),
    ('b4k-t5.1.1', 'bidirectional'), ('b4k-opt-gated', 'bidirectional'), ('b4k-opt-residual', 'bidirectional'),
]

# Layers of their own and shared ones are the same function, once they are averaged.
TIED = ['b4k-bert', 'b4k-albert-unshared', 'b4k-opt-residual']

# source, what ckpt is told, and the names of layers that remain: the result's number for the source's
DROPPED = [
    ('b4k-bert', '1', {'Transformer': {0: 0, 2: 1}}),
    ('b4k-nezha', '0', {'Transformer': {1: 0}}),
    ('b4k-gpt2-ml', '0', {'Transformer': {1: 0}}),
    ('b4k-gau-alpha', '1', {'Transformer': {0: 0}}),
    ('b4k-opt-residual', '0', {'Transformer': {1: 0, 2: 1}}),
    ('b4k-t5', 'encoder.0,decoder.1', {'Encoder-Transformer': {1: 0}, 'Decoder-Transformer': {0: 0}}),
]


def made(kind, source, *options):
    """The model that bert4keras builds and loads of what ckpt wrote."""
    target = place('bert4keras', 'layers', label(kind, source, *options) + '.h5')
    return load(convert(FIXTURES / source, target, '--to', 'bert4keras', *options), target)


def check_widened(source, mask):
    keras.backend.clear_session()
    kind, model = made('wide', source, '--apply', 'widen-ffn=101')
    return '%s, %s' % (kind, compare(model, Expected(source, mask)))


def check_tied(source):
    """Averaged and given back to each layer, and shared: one function."""
    keras.backend.clear_session()
    kind, shared = made('tied', source, '--apply', 'tie')
    require(kind == 'albert', 'the command says model=%r' % kind)
    _, apart = made('tied-apart', source, '--apply', 'tie', '--apply', 'untie')
    return agreement(source, shared, apart)


def check_dropped(source, layers, kept):
    """Against the library's own smaller model, whose layers get those of its larger one by name."""
    keras.backend.clear_session()
    _, whole = made('whole', source)
    _, ours = made('dropped', source, '--apply', 'drop-layers=' + layers)
    _, theirs = made('dropped', source, '--apply', 'drop-layers=' + layers)
    sources = {layer.name: layer for layer in whole.layers}
    numbers = {'%s-%d' % (kind, new): '%s-%d' % (kind, old) for kind in kept for old, new in kept[kind].items()}
    found = 0
    for layer in theirs.layers:
        if not layer.get_weights():
            continue
        block = re.match(r'(?:(?:En|De)coder-)?Transformer-\d+', layer.name)
        name = numbers[block.group()] + layer.name[block.end():] if block else layer.name
        layer.set_weights([array * 0 for array in layer.get_weights()])
        layer.set_weights(sources[name].get_weights())
        found += bool(block)
    require(found > 0, 'no layer was given another one\'s weights')
    return agreement(source, ours, theirs)


def agreement(source, ours, theirs):
    inputs = comparable(Expected(source).inputs)[0]
    expected, worst = compute(theirs, inputs), Worst()
    for value, found in compute(ours, inputs).items():
        worst.compare(value, found, expected[value], 1e-6)
    return str(worst)


def checks():
    for source, mask in WIDENED:
        yield 'bert4keras widened ' + source, check_widened, source, mask
    for source in TIED:
        yield 'bert4keras tied ' + source, check_tied, source
    for source, layers, kept in DROPPED:
        yield 'bert4keras dropped %s %s' % (source, layers), check_dropped, source, layers, kept


if __name__ == '__main__':
    run_checks(checks())
