"""`ckpt info` counts what Keras' `summary()` prints: parameters, trainable ones, and the shape of every layer's output.

Run by Keras 2.15 and by Keras 3: whole models with inner, shared and frozen layers, and the models of fixtures/keras-models.
"""
import os
import re

os.environ.setdefault('KERAS_BACKEND', 'jax')

import keras
import numpy as np

from common import FIXTURES, ckpt, place, require, run_checks

MAJOR = int(keras.__version__.split('.')[0])
VERSION = 'keras%d' % MAJOR


def frozen():
    """Inner models, one of them applied twice; a frozen layer, a frozen model, frozen BatchNormalization."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    first, second = keras.Input((8, 7, 3), name='first'), keras.Input((8, 7, 3), name='second')
    inner = keras.Sequential([keras.Input((8, 7, 3)), layers.Conv2D(4, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU(), layers.Flatten()], name='inner')
    middle = keras.Input((120,), name='middle')
    other = keras.Model(middle, layers.Dense(5, name='deep')(layers.Dense(6, trainable=False, name='still')(middle)), name='other')
    shared, cold = layers.Dense(9, name='shared'), layers.BatchNormalization(name='cold', trainable=False)
    a, b = shared(inner(first)), shared(inner(second))
    iced = keras.Sequential([keras.Input((9,)), layers.Dense(2), layers.Dense(3)], name='iced')
    iced.trainable = False
    both = layers.Concatenate()([cold(a), b])
    return keras.Model([first, second], [layers.Dense(2, name='end')(both), iced(a), other(inner(first))])


def recurrent():
    keras.utils.set_random_seed(4)
    layers = keras.layers
    ids = keras.Input((None,), name='ids', dtype='int32')
    x = layers.Embedding(19, 6, mask_zero=True)(ids)
    x = layers.Bidirectional(layers.LSTM(5, return_sequences=True))(x)
    return keras.Model(ids, layers.TimeDistributed(layers.Dense(3))(layers.GRU(4, return_sequences=True)(x)))


def compiled():
    """With an optimizer's state, which is no part of the model."""
    model = frozen()
    model.compile('adam', 'mse')
    inputs = [np.zeros((2, 8, 7, 3), 'float32')] * 2
    model.fit(inputs, [np.zeros((2,) + tuple(output.shape[1:]), 'float32') for output in model.outputs], verbose=0)
    return model


MODELS = {'frozen': frozen, 'recurrent': recurrent, 'compiled': compiled}


def flat(model, prefix=''):
    """{path: layer} of all layers, those of inner models too, without what a sequential model does not list."""
    found = {}
    for layer in model.layers:
        found[prefix + layer.name] = layer
        if hasattr(layer, 'layers'):
            found.update(flat(layer, prefix + layer.name + '.'))
    return found


def count(weights):
    return int(sum(np.prod(tuple(weight.shape)) for weight in weights))


def shapes(layer):
    """Of a layer's first application."""
    nodes = layer._inbound_nodes
    if not nodes:
        return None
    node = nodes[1] if hasattr(layer, 'layers') and len(nodes) > 1 else nodes[0]
    outputs = node.outputs
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return [[None if extent is None else int(extent) for extent in output.shape] for output in outputs]


def compare(model, source):
    said = ckpt('info', source, '--no-values')['keras']
    printed = []
    model.summary(print_fn=lambda line, **_: printed.append(line))
    text = '\n'.join(printed)
    numbers = {}
    for word, key in [('Trainable params', 'trainable'), ('Non-trainable params', 'fixed')]:
        numbers[key] = int(re.search(r'(?<!-)\b%s: *([\d,]+)' % re.escape(word), text).group(1).replace(',', ''))
    require(said['trainable_parameters'] == numbers['trainable'], '%d are trainable, the summary says %d' % (said['trainable_parameters'], numbers['trainable']))
    require(said['non_trainable_parameters'] == numbers['fixed'], '%d are not, the summary says %d' % (said['non_trainable_parameters'], numbers['fixed']))
    require(said['total_parameters'] == model.count_params(), '%d parameters, count_params() says %d' % (said['total_parameters'], model.count_params()))
    # Operations are no layers in Keras' list.
    rows, layers = {row['path']: row for row in said['layers'] if not row['class'].startswith('keras.ops.')}, flat(model)
    require(set(rows) == set(layers), 'layers differ: %s' % (set(rows) ^ set(layers)))
    for path, layer in layers.items():
        row = rows[path]
        require(row['parameters'] == count(layer.weights), '%s has %s parameters, Keras %d' % (path, row['parameters'], count(layer.weights)))
        require(row['class'].split('>')[-1] in (type(layer).__name__, 'Functional'), '%s is a %s' % (path, row['class']))
        expected = shapes(layer)
        if expected is not None and '.' not in path:
            require(row['output_shapes'] == expected, '%s returns %s, Keras says %s' % (path, row['output_shapes'], expected))
    return '%d layers, %d parameters' % (len(rows), said['total_parameters'])


def check_made(name, suffix):
    model = MODELS[name]()
    source = place('summary', '%s-%s%s' % (VERSION, name, suffix))
    model.save(source)
    return compare(model, source)


def check_stored(path):
    return compare(keras.models.load_model(path, compile=False), path)


def main():
    stored = [path for path in sorted((FIXTURES / 'keras-models').glob('*/%s.*' % VERSION)) if path.suffix in ('.h5', '.keras')]
    run_checks([('summary: %s, %s%s' % (VERSION, name, suffix), check_made, name, suffix) for name in MODELS for suffix in ['.keras', '.h5']]
               + [('summary: %s of %s' % (path.name, path.parent.name), check_stored, path) for path in stored])


if __name__ == '__main__':
    main()
