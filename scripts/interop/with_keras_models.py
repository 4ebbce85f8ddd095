"""Keras loads the graphs of layers that ckpt wrote, in every form from every form, and folded, with the same outputs.

Run by both Keras: what the older wrote is turned into archives of the newer, which loads them when it is run.
"""
import os

os.environ.setdefault('KERAS_BACKEND', 'jax')

import absl.logging
import keras
import numpy as np

from common import FIXTURES, WORK, ckpt, place, require, run_checks

VERSION = int(keras.__version__.split('.')[0])
L = keras.layers


def random_weights(model, seed):
    """Weights that matter: variances positive, everything else around zero."""
    random = np.random.default_rng(seed)
    values = []
    for weight in model.weights:
        name = getattr(weight, 'path', weight.name)
        noise = random.standard_normal(weight.shape) * 0.5
        values.append(np.abs(noise) + 0.4 if 'variance' in name else noise)
    model.set_weights(values)
    return model


def dense():
    return keras.Sequential([
        L.Input((5,)), L.Dense(7, activation='relu', name='first'), L.Dropout(0.3), L.Dense(4, use_bias=False, name='second'),
        L.Activation('softmax', name='probabilities')], name='dense')


def shared():
    """A layer and an inner model used twice, two outputs."""
    a, b = L.Input((8,), name='a'), L.Input((8,), name='b')
    inner = keras.Sequential([L.Input((4,)), L.Dense(3, activation='tanh', name='narrow'), L.Dense(4, name='wide')], name='inner')
    layer = L.Dense(4, name='shared')
    left, right = inner(layer(a)), inner(layer(b))
    return keras.Model([a, b], [L.Dense(2, name='left')(left), L.Dense(3, name='right')(right)], name='shared_model')


def frozen():
    x = L.Input((6,), name='x')
    first = L.Dense(5, name='first', trainable=False)
    return keras.Model(x, L.Dense(3, name='second')(L.BatchNormalization(name='norm')(first(x))), name='frozen')


def convolutional():
    x = L.Input((9, 11, 3), name='image')
    y = L.Conv2D(6, 3, padding='same', use_bias=False, name='conv')(x)
    y = L.Activation('relu', name='relu')(L.BatchNormalization(name='conv_bn')(y))
    y = L.SeparableConv2D(8, 3, strides=2, padding='same', use_bias=False, name='separable')(y)
    y = L.BatchNormalization(name='separable_bn')(y)
    z = L.BatchNormalization(name='short_bn')(L.Conv2D(8, 1, strides=2, name='short')(x))
    y = L.GlobalAveragePooling2D(name='pool')(L.Add(name='add')([y, z]))
    return keras.Model(x, L.Dense(4, name='scores')(y), name='convolutional')


def recurrent():
    ids = L.Input((None,), name='ids', dtype='int32')
    y = L.Embedding(19, 6, mask_zero=True, name='table')(ids)
    y = L.Bidirectional(L.LSTM(4, return_sequences=True), name='both')(y)
    return keras.Model(ids, L.Dense(3, name='tags')(L.GRU(5, return_sequences=True, name='gru')(y)), name='recurrent')


MODELS = {function.__name__: function for function in (dense, shared, frozen, convolutional, recurrent)}
FORMS = ['h5', 'keras', 'weights.h5']


def make(name):
    keras.backend.clear_session()
    model = random_weights(MODELS[name](), 3)
    random = np.random.default_rng(4)
    arrays = []
    for tensor in model.inputs:
        shape = [3] + [extent or 7 for extent in tensor.shape[1:]]
        is_ids = 'int' in str(tensor.dtype)
        arrays.append(random.integers(1, 19, shape).astype('int32') if is_ids else random.standard_normal(shape).astype('float32'))
    return model, arrays


def predict(model, arrays):
    results = model(arrays if len(arrays) > 1 else arrays[0], training=False)
    return [np.asarray(array) for array in (results if isinstance(results, (list, tuple)) else [results])]


def same(got, wanted, tolerance=1e-5):
    require(len(got) == len(wanted), '%d outputs, not %d' % (len(got), len(wanted)))
    worst = max(float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)) for a, b in zip(got, wanted))
    require(worst <= tolerance, 'outputs differ by %.1e' % worst)
    return worst


def save(model, form, *parts):
    """The model as Keras itself saves it; the configuration of weights lies beside them."""
    path = place(*parts, 'own.' + form)
    if form == 'weights.h5':
        model.save_weights(path)
        path.with_name('own.weights.config.json').write_text(model.to_json())
    else:
        model.save(path)
    return path


def load(path):
    if not path.name.endswith('.weights.h5'):
        return keras.models.load_model(path, compile=False)
    text = path.with_name(path.name.replace('.h5', '.config.json')).read_text()
    model = keras.models.model_from_json(text)
    model.load_weights(path)
    return model


def loads(path):
    """Whether Keras can load what it has saved itself."""
    try:
        load(path)
        return True
    except (TypeError, ValueError):
        return False


def check_forms(name):
    """Every form of the model as Keras saves it → every other → Keras; and back into the first."""
    model, arrays = make(name)
    wanted, worst, count = predict(model, arrays), 0, 0
    loadable = {form: loads(save(model, form, 'keras-models', name, str(VERSION), 'own')) for form in FORMS}
    for source in FORMS:
        if not loadable[source]:
            continue
        own = save(model, source, 'keras-models', name, str(VERSION), source.replace('.', '-'))
        for target in FORMS:
            out = own.with_name('to.' + target)
            result = ckpt('convert', own, out, '--overwrite', '--to', 'keras')
            require(result['verified'] and result['verification']['verdict'] == 'identical', 'not proven: %s' % result)
            ckpt('verify', own, out)
            if VERSION == 2 and target == 'keras' and source != 'keras':
                # An archive for Keras 3, which looks at it in its turn.
                np.savez(own.with_name('arrays.npz'), *arrays, **{'wanted_%d' % i: array for i, array in enumerate(wanted)})
                continue
            if not loadable[target]:  # Keras 3 cannot read its own HDF5 files with operations in the graph
                require(any('operation' in note for note in result['notes']), 'nothing says that Keras cannot load it')
                continue
            worst, count = max(worst, same(predict(load(out), arrays), wanted)), count + 1
    return '%d of Keras %s loaded again, largest difference %.1e' % (count, keras.__version__, worst)


def check_older():
    """Archives that ckpt made for Keras 3 of what Keras 2 saved."""
    count, worst = 0, 0
    for folder in sorted((WORK / 'keras-models').glob('*/2/*')):
        archive = folder / 'to.keras'
        if not (folder / 'arrays.npz').exists() or not archive.exists():
            continue
        with np.load(folder / 'arrays.npz') as data:
            arrays = [data[key] for key in sorted(data.files) if key.startswith('arr_')]
            wanted = [data[key] for key in sorted(data.files) if key.startswith('wanted_')]
        try:
            worst = max(worst, same(predict(load(archive), arrays), wanted))
        except Exception as error:
            raise type(error)('%s: %s' % (archive, error))
        count += 1
    require(count or not (WORK / 'keras-models').exists(), 'Keras 2 has left nothing to load')
    return '%d archives, largest difference %.1e' % (count, worst)


def check_folded(name):
    """`fold-batchnorm` of the fixtures: no layer of it is left that can go, and Keras gives the recorded outputs."""
    folder = FIXTURES / 'keras-models' / name
    with np.load(folder / 'inputs.npz') as data:
        inputs = {key: data[key] for key in data.files}
    with np.load(folder / 'expected.npz') as data:
        expected = {key: data[key] for key in data.files}
    worst, before, after = 0, 0, 0
    for source in sorted(path for path in folder.iterdir() if path.name.startswith('keras%d.' % VERSION)):
        for form in [source.suffix[1:], 'h5']:
            out = place('keras-models', 'folded', name, str(VERSION), 'folded.' + form)
            result = ckpt('convert', source, out, '--apply', 'fold-batchnorm', '--overwrite')
            require(result['verified'], 'not proven: %s' % result)
            model, own = load(out), keras.models.load_model(source, compile=False)
            before, after = norms(own), norms(model)
            require(after < before, '%d of %d layers are still there' % (after, before))
            arrays = [inputs[tensor.name.split(':')[0]] for tensor in own.inputs]
            names = own.output_names
            wanted = [expected[key] for key in names] if all(key in expected for key in names) else predict(own, arrays)
            worst = max(worst, same(predict(model, arrays), wanted))
    return '%d BatchNormalization of %d are left, largest difference %.1e' % (after, before, worst)


def norms(model):
    return sum(norms(layer) if hasattr(layer, 'layers') else isinstance(layer, L.BatchNormalization) for layer in model.layers)


if __name__ == '__main__':
    absl.logging.set_verbosity(absl.logging.ERROR)
    checks = [('keras %d, %s in every form' % (VERSION, name), check_forms, name) for name in MODELS]
    if VERSION == 3:
        checks.append(('archives of what Keras 2 saved', check_older))
    folder = FIXTURES / 'keras-models'
    if folder.exists():
        checks += [('keras %d, %s folded' % (VERSION, path.name), check_folded, path.name) for path in sorted(folder.iterdir())
                   if (path / 'inputs.npz').exists()]
    run_checks(checks)
