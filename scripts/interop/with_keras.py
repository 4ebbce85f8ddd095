"""h5py finds in ckpt's HDF5 what Keras wrote, and Keras loads it: weights, whole models, optimizers.

The round trip goes through safetensors, which keeps groups and attributes in its metadata.
"""
import sys

import h5py
import numpy as np

from common import FIXTURES, ROOT, Expected, Worst, ckpt, convert, place, require, run_checks
from hdf5 import check_listing, check_npz, check_same_bytes, check_same_content, describe, require_same, round_trip

sys.path.insert(0, str(ROOT / 'scripts' / 'python'))
import b4k_env  # noqa: F401  (before bert4keras)
import keras
import tensorflow as tf

REGISTERED = set(keras.utils.get_custom_objects())
import bert4keras.models  # noqa: E402,F401  (registers classes, some under the names of Keras' own)

BERT4KERAS = {name: value for name, value in keras.utils.get_custom_objects().items() if name not in REGISTERED}
for name in BERT4KERAS:
    del keras.utils.get_custom_objects()[name]

FILES = ['b4k-bert/weights.h5', 'b4k-bert/model.h5', 'b4k-bert/model_with_optimizer.h5', 'b4k-albert/weights.h5', 'b4k-albert/model.h5',
         'b4k-bert-tanh/weights.h5', 'b4k-bert-tanh/model.h5', 'b4k-bert-tanh/model.keras215.h5', 'b4k-albert-relu/weights.h5',
         'b4k-bert-user/weights.h5', 'tiny-albert/weights.h5']
MODELS = ['b4k-bert/model.h5', 'b4k-bert/model_with_optimizer.h5', 'b4k-albert/model.h5', 'b4k-bert-tanh/model.h5']

# Whole models of bert4keras


def predictions(model, inputs):
    """A model's outputs, always as a list; without tracing, which takes longer than these models."""
    inputs = [tf.constant(array, 'float32') for array in inputs]
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return [output.numpy() for output in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]


def check_load_model(name, label):
    """Keras rebuilds the model from the attributes and predicts what the fixture recorded."""
    keras.backend.clear_session()
    fixture = name.partition('/')[0]
    expected = Expected(fixture)
    with_optimizer = 'optimizer' in name
    loaded = keras.models.load_model(str(round_trip(FIXTURES / name, label)), BERT4KERAS, compile=with_optimizer)
    outputs = predictions(loaded, expected.inputs.values())
    names = ['nsp_probs', 'mlm_probs'] if len(outputs) == 2 else ['last_hidden_state']
    worst = Worst()
    for value, output in zip(names, outputs):
        worst.compare(value, output, expected[value], expected.tolerance(value))
    return str(worst) + (', ' + same_optimizer(loaded, keras.models.load_model(str(FIXTURES / name), BERT4KERAS)) if with_optimizer else '')


def same_optimizer(ours, theirs):
    """The optimizer's state, to the bit."""
    one, other = state(ours.optimizer), state(theirs.optimizer)
    require(len(one) == len(other) > 0, 'the optimizer has %d arrays, expected %d' % (len(one), len(other)))
    require(all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(one, other)), "the optimizer's state differs")
    return '%d arrays of %s' % (len(one), type(ours.optimizer).__name__)


def state(optimizer):
    variables = optimizer.variables
    return [np.asarray(variable) for variable in (variables() if callable(variables) else variables)]


# Plain Keras models, made on the spot


def sequential_dense():
    return keras.Sequential([
        keras.layers.Dense(7, activation='relu', input_shape=(5,)), keras.layers.BatchNormalization(), keras.layers.Dropout(0.3),
        keras.layers.Dense(3, activation='softmax', use_bias=False)])


def recurrent():
    return keras.Sequential([
        keras.layers.Embedding(17, 6, mask_zero=True, input_length=9), keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True)),
        keras.layers.TimeDistributed(keras.layers.Dense(5)), keras.layers.GRU(3), keras.layers.Dense(2)])


def convolutional():
    return keras.Sequential([
        keras.layers.Conv2D(4, 3, input_shape=(8, 9, 2)), keras.layers.BatchNormalization(), keras.layers.ReLU(),
        keras.layers.SeparableConv2D(5, 2), keras.layers.DepthwiseConv2D(2), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])


def functional():
    """Two inputs, a shared layer, a model inside a model, attention."""
    first, second = keras.Input((6, 8), name='first'), keras.Input((6, 8), name='second')
    shared = keras.layers.Dense(8, name='shared')
    inner = keras.Sequential([keras.layers.Dense(8, input_shape=(6, 8)), keras.layers.LayerNormalization()], name='inner')
    mixed = keras.layers.MultiHeadAttention(2, 3, name='attention')(shared(first), shared(second))
    return keras.Model([first, second], keras.layers.Dense(2, name='out.put-1')(keras.layers.Flatten()(inner(mixed))))


def double():
    """Layers of other precisions in one model."""
    entrance = keras.Input((5,), dtype='float64')
    hidden = keras.layers.Dense(4, dtype='float64')(entrance)
    return keras.Model(entrance, keras.layers.Dense(3, dtype='float32')(keras.layers.Dense(3, dtype='float16')(hidden)))


def many_layers():
    """So many long names that layer_names has to be split over several attributes."""
    return keras.Sequential([keras.layers.Dense(2, name='layer_%03d_' % number + 'x' * 500, input_shape=(2,)) for number in range(130)])


def no_weights():
    return keras.Sequential([keras.layers.Flatten(input_shape=(3, 2)), keras.layers.Activation('relu')])


# name: (model, an input of it, optimizer)
PLAIN = {
    'dense': (sequential_dense, [(4, 5)], lambda: keras.optimizers.Adam(1e-3)),
    'recurrent': (recurrent, [17], lambda: keras.optimizers.legacy.RMSprop(1e-3)),
    'convolutional': (convolutional, [(4, 8, 9, 2)], lambda: keras.optimizers.SGD(1e-3, momentum=0.9)),
    'functional': (functional, [(4, 6, 8), (4, 6, 8)], lambda: keras.optimizers.legacy.Adam(1e-3, amsgrad=True)),
    'double': (double, [(4, 5)], None),
    'many-layers': (many_layers, [(4, 2)], None),
    'no-weights': (no_weights, [(4, 3, 2)], None),
}


def make(name, trained=False):
    """A model with weights that matter, and inputs; on demand trained for a step, so that its optimizer has state."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(5)
    construct, shapes, optimizer = PLAIN[name]
    model, random = construct(), np.random.default_rng(6)
    inputs = [random.integers(0, shape, (4, 9)) if isinstance(shape, int) else random.standard_normal(shape).astype('float32') for shape in shapes]
    for weight in model.weights:
        weight.assign(1 + 0.5 * random.random(weight.shape) if 'variance' in weight.name else 0.6 * random.standard_normal(weight.shape))
    if trained and optimizer:
        model.compile(optimizer(), loss='mse')
        model.train_on_batch(inputs, np.zeros((4,) + model.output_shape[1:]))
    return model, inputs


def check_plain_weights(name, suffix):
    """`save_weights` → ckpt → `load_weights` into the model after its weights were cleared.

    With the suffix .weights.h5 Keras writes the layout of Keras 3, else the one with layer_names.
    """
    model, inputs = make(name)
    path = place('keras', 'made', name + suffix)
    model.save_weights(str(path))
    wanted, before = predictions(model, inputs), model.get_weights()
    listing = check_listing(path)
    back = round_trip(path, name + suffix.removesuffix('.h5'))
    for weight in model.weights:
        weight.assign(tf.zeros_like(weight))
    model.load_weights(str(back))
    require(all(np.array_equal(one, other) for one, other in zip(model.get_weights(), before)), 'loaded weights differ')
    require(np.array_equal(predictions(model, inputs), wanted), 'predictions differ')
    return listing + '; ' + require_same(describe(back), describe(path))


def check_plain_model(name):
    """`save` → ckpt → `load_model`, with the optimizer's state."""
    model, inputs = make(name, trained=True)
    path = place('keras', 'made', name + '-model.h5')
    model.save(str(path))
    listing = check_listing(path)
    back = round_trip(path, name + '-model')
    loaded = keras.models.load_model(str(back))
    require(np.array_equal(predictions(loaded, inputs), predictions(model, inputs)), 'predictions differ')
    details = [listing, require_same(describe(back), describe(path))]
    if model.optimizer is not None:
        details.append(same_optimizer(loaded, keras.models.load_model(str(path))))
    return '; '.join(details)


def check_half(name):
    """`--dtype f16`: h5py reads half precision of the right values."""
    model, _ = make(name)
    path, target = place('keras', 'made', name + '-f32.h5'), place('keras', name + '-f16.h5')
    model.save_weights(str(path))
    convert(path, target, '--dtype', 'f16')
    count = 0
    with h5py.File(path) as one, h5py.File(target) as other:
        for tensor in ckpt('ls', path)['tensors']:
            value, half = one[tensor['name']][()], other[tensor['name']][()]
            require(half.dtype == np.float16 and np.array_equal(value.astype('float16'), half), '%s differs' % tensor['name'])
            count += 1
    return '%d tensors' % count


def checks():
    for file in FILES:
        label = file.replace('/', '-').removesuffix('.h5')
        yield 'h5py the same content ' + file, check_same_content, FIXTURES / file, label
        yield 'h5py listing ' + file, check_listing, FIXTURES / file
    for file in FILES[:2]:
        label = file.replace('/', '-').removesuffix('.h5')
        yield 'h5py the same bytes ' + file, check_same_bytes, FIXTURES / file, label
        yield 'h5py npz ' + file, check_npz, FIXTURES / file, label
    for file in MODELS:
        yield 'keras load_model ' + file, check_load_model, file, file.replace('/', '-').removesuffix('.h5') + '-loaded'
    for name in PLAIN:
        yield 'keras load_weights ' + name, check_plain_weights, name, '-weights.h5'
        yield "keras load_weights in Keras 3's layout " + name, check_plain_weights, name, '.weights.h5'
        yield 'keras load_model ' + name, check_plain_model, name
    yield 'h5py half precision dense', check_half, 'dense'


if __name__ == '__main__':
    tf.get_logger().setLevel('ERROR')
    run_checks(checks())
