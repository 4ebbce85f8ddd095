"""Nodes of TensorFlow's graph as layers, which tf.keras 2.1 to 2.3 made of arithmetic between layers, and Lambda layers with
named functions in place of their code: `ckpt run` computes what TensorFlow and Keras compute.

Keras 2.15 still reads, runs and writes `TensorFlowOpLayer`, but makes none; here they are made of graph nodes.
"""
import subprocess

from common import CKPT, ROUNDING, Worst, place, require, run_checks

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from google.protobuf import json_format  # noqa: E402
from keras.src.engine.base_layer import TensorFlowOpLayer  # noqa: E402

L, K = keras.layers, keras.backend

NODES = {
    'add': lambda x, y: x + y, 'scale': lambda x: x * 2.5, 'from_one': lambda x: 1.0 - x, 'divide': lambda x, y: x / y,
    'mean': lambda x: tf.reduce_mean(x, axis=1, keepdims=True), 'sum': lambda x: tf.reduce_sum(x, axis=[1, 2]), 'max': lambda x: tf.reduce_max(x, axis=-1),
    'reshape': lambda x: tf.reshape(x, [-1, 12]), 'transpose': lambda x: tf.transpose(x, [0, 2, 1]), 'expand': lambda x: tf.expand_dims(x, 2),
    'part': lambda x: x[:, 1:3, ::2], 'last': lambda x: x[:, -1], 'new_axis': lambda x: x[:, tf.newaxis, ..., 0], 'first_kept': lambda x: x[:, 0:1],
    'concat': lambda x, y: tf.concat([x, y], axis=2), 'stack': lambda x, y: tf.stack([x, y], axis=1), 'tile': lambda x: tf.tile(x, [1, 2, 1]),
    'leaky': lambda x: tf.nn.leaky_relu(x, 0.3), 'softmax': tf.nn.softmax, 'square': tf.square, 'maximum': tf.maximum,
    'product': lambda x, y: tf.matmul(x, y, transpose_b=True), 'pad': lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 1]], constant_values=1.5),
    'mirror': lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 1]], mode='REFLECT'), 'gather': lambda x: tf.gather(x, [2, 0], axis=1),
    'cumsum': lambda x: tf.cumsum(x, axis=1, exclusive=True), 'reverse': lambda x: tf.reverse(x, [1]), 'one_hot': lambda x: tf.argmax(x, axis=2),
}

# What a user says a Lambda does, and what its code does; `None` is what ckpt recognises by itself.
LAMBDAS = {
    'identity': lambda x: x, 'first': (None, lambda x: x[:, 0]), 'last': (None, lambda x: x[:, -1]), 'mean': lambda x: K.mean(x, axis=1), 'mean=2': lambda x: K.mean(x, axis=2),
    'max': lambda x: K.max(x, axis=1), 'min': lambda x: K.min(x, axis=1), 'sum': lambda x: K.sum(x, axis=1), 'l2-normalize': lambda x: K.l2_normalize(x, axis=-1),
    'expand-dims=1': lambda x: K.expand_dims(x, 1), 'reverse': lambda x: K.reverse(x, 1), 'argmax': lambda x: K.cast(K.argmax(x), 'float32'),
    'softmax=1': lambda x: K.softmax(x, 1), 'abs': K.abs, 'square': K.square, 'exp': K.exp, 'negative': lambda x: -x, 'relu': K.relu, 'tanh': K.tanh, 'sigmoid': K.sigmoid,
    'one-minus': lambda x: 1 - x, 'scale=0.25': lambda x: x * 0.25, 'shift=-2': lambda x: x - 2, 'not-equal=0': lambda x: K.cast(K.not_equal(x, 0), 'float32'),
    'position=2': lambda x: x[:, 2],
}
PAIRS = {
    'abs-difference': lambda p: K.abs(p[0] - p[1]), 'subtract': lambda p: p[0] - p[1], 'multiply': lambda p: p[0] * p[1], 'concatenate': lambda p: K.concatenate(p, axis=-1),
    'l1-distance': lambda p: K.sum(K.abs(p[0] - p[1]), axis=-1, keepdims=True),
    'euclidean-distance': lambda p: K.sqrt(K.maximum(K.sum(K.square(p[0] - p[1]), axis=-1, keepdims=True), K.epsilon())),
    'cosine-similarity': lambda p: K.sum(K.l2_normalize(p[0], axis=-1) * K.l2_normalize(p[1], axis=-1), axis=-1, keepdims=True),
    'exp-negative-l1-distance': lambda p: K.exp(-K.sum(K.abs(p[0] - p[1]), axis=-1, keepdims=True)), 'dot': lambda p: K.sum(p[0] * p[1], axis=-1, keepdims=True),
}


def node_layer(name, function, tensors):
    """A layer of the last node that a function makes in a graph; constants are what stands in the node's other places."""
    with tf.Graph().as_default():
        made = function(*[tf.compat.v1.placeholder(tf.float32, tensor.shape.as_list()) for tensor in tensors])
        node = made.op
        constants = {place: tf.make_ndarray(operand.op.get_attr('value')) for place, operand in enumerate(node.inputs) if operand.op.type == 'Const'}
        return TensorFlowOpLayer(node_def=json_format.MessageToDict(node.node_def), name=name, constants=constants)


def compare(model, name, arrays, *options):
    """The outputs of a model by the command and by Keras."""
    path, inputs, outputs = (place('keras-nodes', name + end) for end in ('.h5', '.in.npz', '.out.npz'))
    model.save(path)
    np.savez(inputs, **arrays)
    command = [CKPT, 'run', path, '--inputs', inputs, '--outputs', outputs, '--quiet', '--overwrite', *options]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600)
    require(result.returncode == 0, result.stderr.strip()[:500])
    wanted, found, worst = model(list(arrays.values())), np.load(outputs), Worst()
    for output, theirs in zip(model.output_names, wanted if isinstance(wanted, list) else [wanted]):
        worst.compare(output, found[output], np.asarray(theirs, 'float32'), ROUNDING)
    return str(worst)


def inputs():
    random = np.random.default_rng(11)
    tensors = [L.Input((4, 3), name=name) for name in 'xy']
    return tensors, {name: random.standard_normal((2, 4, 3)).astype('float32') for name in 'xy'}


def nodes():
    tensors, arrays = inputs()
    outputs = []
    for name, function in NODES.items():
        count = function.__code__.co_argcount if function.__code__.co_name == '<lambda>' else 2 if name == 'maximum' else 1
        taken = tensors[:count]
        outputs.append(node_layer(name, function, taken)(taken if count > 1 else taken[0]))
    return compare(keras.Model(tensors, outputs), 'nodes', arrays)


def lambdas():
    tensors, arrays = inputs()
    outputs, options = [], []
    for number, (said, function) in enumerate([*LAMBDAS.items(), *PAIRS.items()]):
        said, function = function if isinstance(function, tuple) else (said, function)
        name = 'lambda_%d' % number
        outputs.append(L.Lambda(function, name=name)(tensors[0] if number < len(LAMBDAS) else tensors))
        if said is not None:
            options += ['--lambda', '%s=%s' % (name, said)]
    return compare(keras.Model(tensors, outputs), 'lambdas', arrays, *options)


if __name__ == '__main__':
    run_checks([('keras2 nodes of a graph as layers', nodes), ('keras2 named functions for Lambda layers', lambdas)])
