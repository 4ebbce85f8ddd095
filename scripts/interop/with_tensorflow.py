"""TensorFlow reads the checkpoints that ckpt writes, Keras and bert4keras load them, and ckpt reads what TensorFlow writes."""
import sys

import numpy as np

from common import FIXTURES, ROOT, Expected, Failed, Worst, ckpt, convert, place, require, run_checks

sys.path.insert(0, str(ROOT / 'scripts' / 'python'))
import b4k_env  # noqa: F401,E402  (before bert4keras)
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from bert4keras.models import build_transformer_model  # noqa: E402

DTYPES = {'f64': 'float64', 'f32': 'float32', 'f16': 'float16', 'bf16': 'bfloat16', 'i64': 'int64', 'i32': 'int32', 'i16': 'int16', 'i8': 'int8',
          'u64': 'uint64', 'u32': 'uint32', 'u16': 'uint16', 'u8': 'uint8', 'bool': 'bool', 'c64': 'complex64', 'c128': 'complex128',
          'f8_e4m3': 'float8_e4m3fn', 'f8_e5m2': 'float8_e5m2'}
MODELS = {'b4k-bert': 'bert', 'b4k-albert': 'albert'}
HEADS = {'with_pool': True, 'with_nsp': True, 'with_mlm': True}


def read(prefix):
    """Every array of a checkpoint, by TensorFlow's own operation."""
    names = {name: dtype for name, dtype in tf.train.load_checkpoint(str(prefix)).get_variable_to_dtype_map().items() if dtype != tf.string}
    arrays = tf.raw_ops.RestoreV2(prefix=str(prefix), tensor_names=list(names), shape_and_slices=[''] * len(names), dtypes=list(names.values()))
    return {name: array.numpy() for name, array in zip(names, arrays)}


def require_same(ours, theirs):
    require(set(ours) == set(theirs), 'other names: %s' % sorted(set(ours) ^ set(theirs))[:3])
    for name, array in theirs.items():
        require(ours[name].dtype == array.dtype and ours[name].shape == array.shape and ours[name].tobytes() == array.tobytes(), '%s differs' % name)
    return '%d tensors, equal to the bit' % len(theirs)


def random_arrays(count=0):
    random = np.random.default_rng(3)
    arrays = {'层 %s/%s' % (dtype, 'x'.join(map(str, shape))): random.integers(0, 2, shape).astype(tf.as_dtype(DTYPES[dtype]).as_numpy_dtype)
              for dtype in DTYPES for shape in ((), (0,), (3,), (2, 0, 5), (2, 3, 4))}
    arrays.update({'%d/some rather long name of a layer and its weight' % number: random.standard_normal(3).astype('float32') for number in range(count)})
    return arrays



def check_round_trip(count):
    """TensorFlow → ckpt → TensorFlow: every type, and so many tensors that the index has several blocks."""
    arrays = random_arrays(count)
    source, target = place('tensorflow', 'source-%d' % count), place('tensorflow', 'target-%d' % count)
    tf.raw_ops.SaveV2(prefix=str(source), tensor_names=list(arrays), shape_and_slices=[''] * len(arrays), tensors=list(map(tf.constant, arrays.values())))
    convert(source, str(target) + '.index')
    return require_same(read(target), arrays)


def check_fixture(name):
    """What ckpt makes of a checkpoint in any form, TensorFlow reads as it reads the original."""
    target = place('tensorflow', name.replace('/', '-') + '-copy')
    convert(FIXTURES / 'tf' / name, str(target) + '.index')
    return require_same(read(target), read(FIXTURES / 'tf' / name))


def check_shards():
    target = place('tensorflow', 'shards')
    convert(FIXTURES / 'b4k-bert' / 'weights.h5', str(target) + '.index', '--max-shard-size', '100KB')
    require(len(list(target.parent.glob('shards.data-*-of-00003'))) == 3, 'there are not three shards')
    return '%d tensors in three shards' % len(read(target))


def check_saver():
    """A TF1 graph restores a checkpoint that went through safetensors; the file `checkpoint` leads to it."""
    folder = place('tensorflow', 'saver', 'x').parent
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        one = tf.compat.v1.get_variable('scope/one', initializer=np.arange(6, dtype='float32').reshape(2, 3))
        parts = tf.compat.v1.get_variable('parts', shape=(7, 2), partitioner=tf.compat.v1.fixed_size_partitioner(3))
        session.run(tf.compat.v1.global_variables_initializer())
        wanted = session.run([one] + list(parts))
        saver = tf.compat.v1.train.Saver()
        saver.save(session, str(folder / 'source' / 'model.ckpt'), write_meta_graph=False)
        middle = folder / 'middle.safetensors'
        convert(folder / 'source', middle)
        convert(middle, folder / 'target', '--format', 'tf')
        session.run([one.initializer] + [part.initializer for part in parts])
        session.run(one.assign(tf.zeros_like(one)))
        saver.restore(session, tf.train.latest_checkpoint(str(folder / 'target')))
        found = session.run([one] + list(parts))
    require(all(np.array_equal(a, b) for a, b in zip(wanted, found)), 'the variables differ')
    return '%d variables, %d of them parts' % (len(found), len(found) - 1)


def small(seed):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.layers.Embedding(17, 6, input_length=9), keras.layers.Bidirectional(keras.layers.LSTM(4)),
                              keras.layers.BatchNormalization(), keras.layers.Dense(3)])
    model.compile(keras.optimizers.legacy.Adam(1e-2), 'mse')
    model.train_on_batch(np.arange(18).reshape(2, 9) % 17, np.ones((2, 3)))
    return model


def check_keras():
    """Keras loads its own weights, optimizer included, after a way through ckpt: the object graph stays."""
    model, other = small(1), small(2)
    source, target = place('tensorflow', 'keras.weights'), place('tensorflow', 'keras-copy.weights')
    model.save_weights(str(source), save_format='tf')
    middle = place('tensorflow', 'keras.safetensors')
    convert(source, middle)
    convert(middle, str(target) + '.index')
    status = other.load_weights(str(target))
    status.assert_consumed()
    arrays = [variable.numpy() for variable in model.weights + model.optimizer.variables()]
    found = [variable.numpy() for variable in other.weights + other.optimizer.variables()]
    require(len(arrays) == len(found) and all(np.array_equal(a, b) for a, b in zip(arrays, found)), 'the variables differ')
    return '%d variables, those of the optimizer too' % len(found)


def check_stripped():
    """Without the optimizer's state the graph still leads Keras to every weight."""
    model, other = small(3), small(4)
    source, target = place('tensorflow', 'full.weights'), place('tensorflow', 'stripped.weights')
    model.save_weights(str(source), save_format='tf')
    convert(source, str(target) + '.index', '--apply', 'strip-optimizer')
    require(len(read(target)) == len(model.weights), 'the optimizer is still there')
    status = other.load_weights(str(target))
    status.expect_partial()
    require(all(np.array_equal(a, b) for a, b in zip(model.get_weights(), other.get_weights())), 'the weights differ')
    other.train_on_batch(np.arange(18).reshape(2, 9) % 17, np.ones((2, 3)))
    fresh = keras.models.clone_model(model)
    fresh.load_weights(str(target)).assert_consumed()
    return '%d weights' % len(model.weights)


def check_bert4keras(fixture, source, options):
    """bert4keras' load_weights(PREFIX), by object graph; every variable must be matched, and the outputs be the fixture's."""
    keras.backend.clear_session()
    config = FIXTURES / fixture / 'config.json'
    target = place('tensorflow', fixture + ('-there' if options else '-copy'))
    convert(FIXTURES / fixture / source, str(target) + '.index', '--config', config, *options)
    model = build_transformer_model(str(config), model=MODELS[fixture], **HEADS)
    status = model.load_weights(str(target))
    status.assert_existing_objects_matched()
    status.assert_consumed()
    expected = Expected(fixture)
    outputs = model([keras.backend.constant(array) for array in expected.inputs.values()], training=False)
    worst = Worst()
    for name, output in zip(('nsp_probs', 'mlm_probs'), outputs):
        worst.compare(name, output.numpy(), expected[name], expected.tolerance(name))
    return str(worst)


def check_user_layer():
    """A user's layer and a CRF on top travel to a bundle and are matched there."""
    from bert4keras.layers import ConditionalRandomField
    keras.backend.clear_session()
    config = FIXTURES / 'b4k-bert-user' / 'config.json'

    def construct(seed):
        keras.utils.set_random_seed(seed)
        base = build_transformer_model(str(config), model='bert')
        return keras.Model(base.inputs, ConditionalRandomField(lr_multiplier=10)(keras.layers.Dense(5)(base.output)))
    model, other = construct(1), construct(2)
    weights, bundle, target = place('tensorflow', 'user.h5'), place('tensorflow', 'user.weights'), place('tensorflow', 'user')
    model.save_weights(str(weights))
    model.save_weights(str(bundle), save_format='tf')
    convert(weights, str(target) + '.index', '--to', 'bert4keras', '--config', config)
    # Layers made later have other names; the graph goes by their order.
    status = other.load_weights(str(target))
    status.assert_existing_objects_matched()
    require(all(np.array_equal(a, b) for a, b in zip(model.get_weights(), other.get_weights())), 'the weights differ')
    said = ckpt('verify', weights, bundle, '--config', config, '--config-b', config)
    require(said['verdict'] == 'identical', 'ckpt tells the two files apart')
    return '%d weights' % len(other.get_weights())


def check_trained(optimizer):
    """A compiled and trained model's bundle, its optimizer's state left out by name."""
    keras.backend.clear_session()
    config = FIXTURES / 'b4k-albert-relu' / 'config.json'
    target = place('tensorflow', optimizer + '.h5')
    convert(FIXTURES / 'b4k-albert-relu' / 'tf' / optimizer, target, '--to', 'bert4keras', '--config', config, '--allow-drop', '*optimizer*')
    model = build_transformer_model(str(config), model='albert', with_mlm=True)
    model.load_weights(str(target))
    wanted = build_transformer_model(str(config), model='albert', with_mlm=True)
    wanted.load_weights(str(FIXTURES / 'b4k-albert-relu' / 'weights.h5'))
    require(all(np.array_equal(a, b) for a, b in zip(model.get_weights(), wanted.get_weights())), 'the weights differ')
    return '%d weights' % len(wanted.get_weights())


def check_damage():
    """TensorFlow and ckpt both see a changed byte."""
    target = place('tensorflow', 'damaged')
    convert(FIXTURES / 'b4k-bert' / 'weights.h5', str(target) + '.index')
    shard = target.with_name('damaged.data-00000-of-00001')
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    ckpt('hash', target, code=2)
    try:
        read(target)
    except tf.errors.DataLossError as error:
        return str(error.message).split(':')[0]
    raise Failed('TensorFlow read damaged bytes')


def checks():
    yield 'tensorflow every type', check_round_trip, 0
    yield 'tensorflow 12,000 tensors', check_round_trip, 12000
    for name in ('types', 'partitioned', 'boxes', 'sharded', 'v1', 'v1-partitioned', 'objects/文-2', 'saved_model/variables/variables', 'blocks',
                 'snappy', 'big'):
        yield 'tensorflow copy of ' + name, check_fixture, name
    yield 'tensorflow shards', check_shards
    yield 'tensorflow Saver.restore', check_saver
    yield 'tensorflow Keras with an optimizer', check_keras
    yield 'tensorflow Keras without its optimizer', check_stripped
    for fixture in MODELS:
        yield 'tensorflow bert4keras names as they are ' + fixture, check_bert4keras, fixture, 'tf/best_model.weights', []
        yield 'tensorflow bert4keras from h5 ' + fixture, check_bert4keras, fixture, 'weights.h5', ['--to', 'bert4keras']
    yield 'tensorflow bert4keras layers of the user', check_user_layer
    for optimizer in ('adam', 'legacy_adam'):
        yield 'tensorflow bert4keras after training, ' + optimizer, check_trained, optimizer
    yield 'tensorflow a changed byte', check_damage


if __name__ == '__main__':
    run_checks(checks())
