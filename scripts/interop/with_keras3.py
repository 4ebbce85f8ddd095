"""Keras 3 loads its own files again after ckpt, in both of its HDF5 layouts, and reads an h5 that ckpt made by name."""
import os

os.environ['KERAS_BACKEND'] = 'jax'

import absl.logging
import h5py
import keras
import numpy as np

from common import FIXTURES, convert, place, require, run_checks
from hdf5 import check_listing, describe, require_same, round_trip


def dense():
    return keras.Sequential([
        keras.Input((5,)), keras.layers.Dense(7, activation='relu'), keras.layers.BatchNormalization(), keras.layers.Dense(3)])


def recurrent():
    return keras.Sequential([
        keras.Input((9,)), keras.layers.Embedding(17, 6), keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True)),
        keras.layers.GRU(3), keras.layers.Dense(2)])


def functional():
    first, second = keras.Input((6, 8), name='first'), keras.Input((6, 8), name='second')
    shared = keras.layers.Dense(8, name='shared')
    inner = keras.Sequential([keras.Input((6, 8)), keras.layers.Dense(8), keras.layers.LayerNormalization()], name='inner')
    mixed = keras.layers.MultiHeadAttention(2, 3)(shared(first), shared(second))
    return keras.Model([first, second], keras.layers.Dense(2)(keras.layers.Flatten()(inner(mixed))))


# name: (model, an input of it)
MODELS = {'dense': (dense, [(4, 5)]), 'recurrent': (recurrent, [17]), 'functional': (functional, [(4, 6, 8), (4, 6, 8)])}


def make(name, compiled=False):
    """A model with weights that matter, and inputs."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(5)
    construct, shapes = MODELS[name]
    model, random = construct(), np.random.default_rng(6)
    inputs = [random.integers(0, shape, (4, 9)) if isinstance(shape, int) else random.standard_normal(shape).astype('float32') for shape in shapes]
    for weight in model.weights:
        if 'seed' not in weight.path:
            weight.assign(1 + 0.5 * random.random(weight.shape) if 'variance' in weight.path else 0.6 * random.standard_normal(weight.shape))
    if compiled:
        model.compile(keras.optimizers.Adam(1e-3), loss=keras.losses.MeanSquaredError())
        model.optimizer.build(model.trainable_variables)
        for variable in model.optimizer.variables[2:]:
            variable.assign(random.random(variable.shape))
    return model, inputs


def predict(model, inputs):
    return np.asarray(model(inputs if len(inputs) > 1 else inputs[0], training=False))


def check_weights(name):
    """`save_weights('x.weights.h5')` → ckpt → `load_weights`."""
    model, inputs = make(name)
    path = place('keras3', name + '.weights.h5')
    model.save_weights(path)
    listing, back = check_listing(path), round_trip(path, 'keras3-' + name + '.weights')
    wanted = predict(model, inputs)
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape, weight.dtype))
    model.load_weights(back)
    require(np.array_equal(predict(model, inputs), wanted), 'predictions differ')
    return '%s; %s' % (listing, require_same(describe(back), describe(path)))


def check_model(name):
    """`save('x.h5')`, the older layout, with the optimizer's state → ckpt → `load_model`."""
    model, inputs = make(name, compiled=True)
    path = place('keras3', name + '.h5')
    model.save(path)
    listing, back = check_listing(path), round_trip(path, 'keras3-' + name)
    loaded = keras.models.load_model(back)
    require(np.array_equal(predict(loaded, inputs), predict(model, inputs)), 'predictions differ')
    states = [[np.asarray(variable) for variable in one.optimizer.variables] for one in (loaded, keras.models.load_model(path))]
    require(all(np.array_equal(one, other) for one, other in zip(*states)), "the optimizer's state differs")
    return '%s; %s' % (listing, require_same(describe(back), describe(path)))


def check_archive(name, *options):
    """`save('x.keras')`, and `save_weights` in shards → ckpt → `x.weights.h5` → `load_weights`."""
    model, inputs = make(name)
    wanted = predict(model, inputs)
    archive, index = place('keras3', name + '.keras'), place('keras3', name + '.shards.weights.json')
    model.save(archive)
    model.save_weights(index, max_shard_size=1e-6)
    for number, source in enumerate([archive, index]):
        weights = place('keras3', '%s-%d.weights.h5' % (name, number))
        convert(source, weights, *options)
        for weight in model.weights:
            weight.assign(np.zeros(weight.shape, weight.dtype))
        model.load_weights(weights)
        require(np.array_equal(predict(model, inputs), wanted), 'predictions differ')
    return '%d weights' % len(model.weights)


def check_by_name():
    """Layers of an h5 that ckpt spelled for bert4keras, loaded by their names."""
    path = place('keras3', 'tiny-albert.h5')
    convert(FIXTURES / 'tiny-albert' / 'weights.h5', path, '--to', 'bert4keras', '--apply', 'untie')
    tokens = keras.Input((8,), dtype='int32')
    hidden = keras.layers.Dense(128, name='Embedding-Mapping')(keras.layers.Embedding(1600, 48, name='Embedding-Token')(tokens))
    model = keras.Model(tokens, hidden)
    model.load_weights(path, by_name=True)
    with h5py.File(path) as file:
        kernel, embeddings = file['Embedding-Mapping/Embedding-Mapping/kernel:0'][()], file['Embedding-Token/Embedding-Token/embeddings:0'][()]
    require(np.array_equal(model.get_layer('Embedding-Mapping').get_weights()[0], kernel), 'the kernel differs')
    require(np.array_equal(model.get_layer('Embedding-Token').get_weights()[0], embeddings), 'the embeddings differ')
    return '2 layers'


def checks():
    for name in MODELS:
        yield 'keras3 load_weights ' + name, check_weights, name
        yield 'keras3 load_model ' + name, check_model, name
        yield 'keras3 archive and shards ' + name, check_archive, name
    yield 'keras3 packed', check_archive, 'functional', '--compress', 'gzip'
    yield 'keras3 by name', check_by_name


if __name__ == '__main__':
    absl.logging.set_verbosity('error')
    run_checks(checks())
