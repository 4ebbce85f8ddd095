"""`ckpt sample` against the same loop with Keras' predict, from the same noise: denoisers and score networks, every way to tell the level.

Run by Keras 2.15 and by Keras 3. The trained denoisers of 8x8 digits are sampled too, and their chain compared with the one that its
generator stored.
"""
import os

os.environ.setdefault('KERAS_BACKEND', 'jax')

import keras
import numpy as np

from common import FIXTURES, Worst, ckpt, place, require, run_checks

VERSION = 'keras%s' % keras.__version__.split('.')[0]
SIGMAS, STEPS, STEP = [1.0, 0.5, 0.2], 5, 0.008


def image_net(form):
    """A small convolutional network of an image and, unless `form` is none, a level; random weights that matter."""
    keras.utils.set_random_seed(11)
    image = keras.Input((6, 5, 3), name='image')
    x = keras.layers.Conv2D(7, 3, padding='same', activation='tanh')(image)
    inputs = [image]
    if form != 'none':
        level = keras.Input((1,), name='level')
        inputs.append(level)
        if form == 'index':
            told = keras.layers.Flatten()(keras.layers.Embedding(len(SIGMAS), 7)(level))
        else:
            told = keras.layers.Dense(7, activation='tanh')(level)
        x = keras.layers.Add()([x, keras.layers.Reshape((1, 1, 7))(told)])
    x = keras.layers.Conv2D(3, 3, padding='same')(keras.layers.BatchNormalization()(x))
    model = keras.Model(inputs, x)
    random = np.random.default_rng(5)
    model.set_weights([random.normal(0, 0.4, w.shape).astype('float32') if 'variance' not in getattr(v, 'path', v.name) else random.uniform(0.5, 2, w.shape).astype('float32')
                       for v, w in zip(model.weights, model.get_weights())])
    return model


TOLD = {'sigma': lambda sigma, index: sigma, 'log': lambda sigma, index: np.log(sigma), 'variance': lambda sigma, index: sigma ** 2, 'index': lambda sigma, index: index}


def loop(network, form, is_score, x, noise, sigmas, step):
    """Song and Ermon's algorithm 1, and the last level's noise taken away."""
    states = []

    def score(x, sigma, index):
        inputs = [x.astype('float32')] + ([np.full((len(x), 1), TOLD[form](sigma, index), 'float32')] if form != 'none' else [])
        result = np.asarray(network.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0), 'float64')
        return result if is_score else (result - x) / sigma ** 2

    x = x.astype('float64')
    for index, sigma in enumerate(sigmas):
        alpha = step * sigma ** 2 / sigmas[-1] ** 2
        for z in noise[index]:
            x = x + alpha / 2 * score(x, sigma, index) + np.sqrt(alpha) * z
            states.append(x)
    return np.array(states), x + sigmas[-1] ** 2 * score(x, sigmas[-1], len(sigmas) - 1)


def check_loop(form, is_score, suffix):
    model = image_net(form)
    source = place('sampling', '%s-%s%s' % (VERSION, form, suffix))
    model.save(source)
    random = np.random.default_rng(7)
    x = random.normal(0.5, 1, (4, 6, 5, 3)).astype('float32')
    noise = random.normal(0, 1, (len(SIGMAS), STEPS) + x.shape).astype('float32')
    given, trace, out = place('sampling', 'given.npz'), place('sampling', 'trace.npz'), place('sampling', 'samples.npz')
    np.savez(given, x=x, noise=noise)
    said = ckpt('sample', source, '--sigma', ','.join(map(str, SIGMAS)), '--steps', STEPS, '--step-size', STEP, '--noise', given, '--trace', trace, '-o', out,
                '--batch', 3, '--overwrite', *(['--score'] if is_score else []), *(['--sigma-form', form] if form not in ('none', 'sigma') else []))
    require(said['noise_input'] == (None if form == 'none' else 'level'), 'the level goes to %s' % said['noise_input'])
    states, last = loop(model, form, is_score, x, noise, SIGMAS, STEP)
    worst, found = Worst(), np.load(trace)
    for number, state in enumerate(states):
        worst.compare('step %d' % number, found['trace'][number], state)
    worst.compare('samples', np.load(out)['samples'], last)
    require(np.array_equal(found['noise'], noise) and np.array_equal(found['x'], x), 'the noise is not what was given')
    return str(worst)


def check_seed():
    """What is drawn is normal, differs from sample to sample, and is the start and the noise of the trace."""
    source, trace = place('sampling', '%s-none.keras' % VERSION), place('sampling', 'drawn.npz')
    if not source.exists():
        image_net('none').save(source)
    ckpt('sample', source, '--sigma', '2,1', '--steps', 40, '--count', 24, '--seed', 3, '--trace', trace, '-o', place('sampling', 'drawn-samples.npz'), '--overwrite', '--range', '-1,1')
    drawn = np.load(trace)
    z = np.concatenate([drawn['noise'].ravel(), drawn['x'].ravel() / 2]).astype('float64')
    n = z.size
    require(abs(z.mean()) < 4 / np.sqrt(n), 'the mean is %g' % z.mean())
    require(abs(z.var() - 1) < 4 * np.sqrt(2 / n), 'the variance is %g' % z.var())
    require(abs((z ** 3).mean()) < 4 * np.sqrt(15 / n) and abs((z ** 4).mean() - 3) < 4 * np.sqrt(96 / n), 'it is not normal')
    require(abs(np.mean(np.abs(z) < 0.67448975) - 0.5) < 4 * 0.5 / np.sqrt(n), 'its quartiles are wrong')
    flat = drawn['noise'].reshape(-1, 24, 90).transpose(1, 0, 2).reshape(24, -1).astype('float64')
    across = np.corrcoef(flat) - np.eye(24)
    require(np.abs(across).max() < 6 / np.sqrt(flat.shape[1]), 'samples are alike: %g' % np.abs(across).max())
    along = np.corrcoef(flat[:, :-1].ravel(), flat[:, 1:].ravel())[0, 1]
    require(abs(along) < 4 / np.sqrt(flat.size), 'neighbours are alike: %g' % along)
    return '%d numbers' % n


def check_digits(name):
    """The chain that the generator stored, computed by its library and by NumPy in float64."""
    folder = FIXTURES / 'trained' / name
    chain = np.load(folder / 'chain.npz')
    given, trace = place('sampling', 'digits-given.npz'), place('sampling', 'digits-trace.npz')
    np.savez(given, x=chain['x'], noise=chain['noise'])
    out = place('sampling', 'digits.npz')
    ckpt('sample', folder / 'model.keras', '--sigma', ','.join(map(str, np.ravel(chain['sigmas']))), '--steps', chain['noise'].shape[1], '--step-size', float(np.ravel(chain['step'])[0]),
         '--noise', given, '--trace', trace, '-o', out, '--overwrite')
    worst = Worst()
    for number in range(len(chain['keras'])):
        worst.compare('step %d' % number, np.load(trace)['trace'][number], chain['keras'][number])
        worst.compare('NumPy, step %d' % number, np.load(trace)['trace'][number], chain['numpy'][number])
    worst.compare('samples', np.load(out)['samples'], chain['keras_last'])
    return str(worst)


def check_picture():
    """The grid's pixels are the samples', row by row."""
    import struct
    import zlib
    source = place('sampling', '%s-none.keras' % VERSION)
    out, picture = place('sampling', 'p.npz'), place('sampling', 'p.png')
    options = ['--sigma', '0.5,0.2', '--steps', 2, '--count', 7, '--range', '-1,2', '--overwrite']
    ckpt('sample', source, '-o', out, *options)
    ckpt('sample', source, '-o', picture, '--columns', 3, *options)
    data = picture.read_bytes()
    parts, at = b'', 8
    while at < len(data):
        size, kind = struct.unpack('>I4s', data[at:at + 8])
        if kind == b'IHDR':
            width, height, depth, colours = struct.unpack('>IIBB', data[at + 8:at + 18])
        if kind == b'IDAT':
            parts += data[at + 8:at + 8 + size]
        at += size + 12
    require((depth, colours) == (8, 2), 'the picture has depth %d and colour type %d' % (depth, colours))
    rows = np.frombuffer(zlib.decompress(parts), 'uint8').reshape(height, 1 + 3 * width)
    pixels = np.zeros((height, 3 * width), 'uint8')
    for y, row in enumerate(rows):
        above = pixels[y - 1].astype(int) if y else np.zeros(3 * width, int)
        line = np.zeros(3 * width, int)
        for x in range(3 * width):
            a, c = (line[x - 3], above[x - 3]) if x >= 3 else (0, 0)
            b = above[x]
            p = a + b - c
            paeth = a if abs(p - a) <= abs(p - b) and abs(p - a) <= abs(p - c) else b if abs(p - b) <= abs(p - c) else c
            line[x] = (row[1 + x] + [0, a, b, (a + b) // 2, paeth][row[0]]) & 255
        pixels[y] = line
    pixels = pixels.reshape(height, width, 3)
    samples = np.load(out)['samples']
    scale = (width - 2) // 3 - 2
    require(scale % 5 == 0, 'an image takes %d pixels' % scale)
    scale //= 5
    for number, sample in enumerate(samples):
        top, left = 2 + number // 3 * (6 * scale + 2), 2 + number % 3 * (5 * scale + 2)
        found = pixels[top:top + 6 * scale:scale, left:left + 5 * scale:scale]
        expected = np.rint(np.clip((sample.astype('float64') + 1) / 3, 0, 1) * 255)
        require(np.abs(found - expected).max() <= 1, 'image %d differs' % number)
    return '%d images of %d x %d pixels' % (len(samples), width, height)


def main():
    checks = []
    for suffix in ['.keras', '.h5']:
        checks += [('sampling: %s, %s, %s%s' % (VERSION, form, kind, suffix), check_loop, form, kind == 'score', suffix)
                   for form in ['none', 'sigma', 'log', 'variance', 'index'] for kind in ['denoiser', 'score'] if suffix == '.keras' or (form, kind) == ('sigma', 'denoiser')]
    if VERSION == 'keras3':
        checks += [('sampling: what is drawn', check_seed), ('sampling: a picture', check_picture)]
        checks += [('sampling: %s' % path.parent.name, check_digits, path.parent.name) for path in sorted((FIXTURES / 'trained').glob('denoiser*/chain.npz'))]
    run_checks(checks)


if __name__ == '__main__':
    main()
