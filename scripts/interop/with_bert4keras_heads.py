"""What users put on top of bert4keras' models: what ckpt writes loads into the user's own model and computes its numbers."""
import numpy as np

from bert4keras_models import build_transformer_model, call, keras
from bert4keras.layers import ConditionalRandomField, EfficientGlobalPointer, GlobalPointer, MaximumEntropyMarkovModel
from common import FIXTURES, Expected, Worst, convert, place, require, run_checks

MULTIPLIER = 1000


def dense(units=5, activation='softmax'):
    return keras.layers.Dense(units, activation=activation)


def first_token(x):
    return keras.layers.Lambda(lambda x: x[:, 0])(x)


def crf(x):
    return ConditionalRandomField(lr_multiplier=MULTIPLIER)(dense(activation=None)(x))


def memm(x, **arguments):
    return MaximumEntropyMarkovModel(lr_multiplier=MULTIPLIER, **arguments)(dense(activation=None)(x))


# fixture: arguments of build_transformer_model, what is put on its output, and the value that comes out
TOPS = {
    'b4k-crf': ({}, crf, 'crf_emissions'),
    'b4k-memm': ({}, memm, 'memm_emissions'),
    'b4k-memm-low-rank': ({}, lambda x: memm(x, hidden_dim=3), 'memm_emissions'),
    'b4k-global-pointer': ({}, lambda x: GlobalPointer(heads=3, head_size=8)(x), 'span_scores'),
    'b4k-efficient-global-pointer': ({}, lambda x: EfficientGlobalPointer(heads=3, head_size=8)(x), 'span_scores'),
    'b4k-user-sequence': ({}, lambda x: dense()(x), 'probs'),
    'b4k-user-pooler': ({'with_pool': True}, lambda x: dense()(x), 'probs'),
    'b4k-user-two': ({}, lambda x: dense()(dense(9, 'relu')(first_token(x))), 'probs'),
}
# How a file comes to be: the steps' suffixes and options.
WAYS = {
    'again': [('.h5', ['--to', 'bert4keras'])],
    'as it is': [('.safetensors', []), ('.h5', [])],
    'through PyTorch': [('.pt', []), ('.h5', [])],
}
# Those that have a class of transformers go there and back; the options say what the layer is.
CLASSES = {'b4k-user-sequence': 'head.dense=sequence,softmax', 'b4k-user-pooler': 'head.dense=pooler,softmax'}


def transitions(layer):
    """As they are used: the layer's properties multiply the stored ones."""
    if hasattr(layer, 'l_trans'):
        return np.asarray(layer.l_trans) @ np.asarray(layer.r_trans).T
    return np.asarray(layer.trans)


def paths(name):
    """The files, each converted with the command's own proof."""
    ways = dict(WAYS)
    if name in CLASSES:
        ways['there and back'] = [('', ['--to', 'huggingface', '--set', CLASSES[name]]), ('.h5', ['--to', 'bert4keras'])]
    for way, steps in ways.items():
        path, options = FIXTURES / name / 'weights.h5', ['--config', FIXTURES / name / 'config.json']
        for number, (suffix, more) in enumerate(steps):
            target = place('tops', '%s-%s-%d%s' % (name, way.replace(' ', '-'), number, suffix))
            convert(path, target, *more, *options)
            path, options = target, []
        yield way, path


def check_top(name):
    """One model, loaded from each of the files after its weights were set to zero."""
    keras.backend.clear_session()
    arguments, top, value = TOPS[name]
    base = build_transformer_model(str(FIXTURES / name / 'config.json'), **arguments)
    model = keras.Model(base.inputs, top(base.output))
    last = model.layers[-1]
    watched = keras.Model(model.inputs, [base.output, last.input if value.endswith('emissions') else last.output])
    expected, worst = Expected(name), Worst()
    hidden = 'pooler_output' if arguments else 'last_hidden_state'
    for way, path in paths(name):
        model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
        model.load_weights(str(path))
        for what, ours in zip((hidden, value), call(watched, expected.inputs)):
            theirs = expected[what]
            finite = np.isfinite(theirs)
            require(np.array_equal(finite, np.isfinite(ours)), '%s is infinite elsewhere' % what)
            worst.compare('%s, %s' % (what, way), np.where(finite, ours, 0), np.where(finite, theirs, 0))
        if value.endswith('emissions'):
            (theirs,) = np.load(FIXTURES / name / 'transitions.npz').values()
            worst.compare('transitions, ' + way, transitions(last), theirs)
    return str(worst)


def checks():
    for name in TOPS:
        yield 'bert4keras top ' + name, check_top, name


if __name__ == '__main__':
    run_checks(checks())
