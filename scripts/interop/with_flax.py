"""ckpt reads what Flax's to_bytes writes, arrays in pieces too."""
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import serialization

from common import convert, place, require, run_checks


class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Embed(50, 8, name='embed')(x)
        x = nn.MultiHeadDotProductAttention(num_heads=2, name='attention')(x)
        return nn.Dense(3, name='head', param_dtype=jnp.float16)(nn.LayerNorm(name='norm')(x))


def flat(tree, path=()):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, (*path, key))
        else:
            yield '/'.join((*path, key)), np.asarray(value)


def check_model(chunk):
    path, result = place('flax', 'model.msgpack'), place('flax', 'model.npz')
    variables = Model().init(jax.random.key(5), jnp.zeros((1, 4), 'int32'))
    whole, serialization.MAX_CHUNK_SIZE = serialization.MAX_CHUNK_SIZE, chunk
    try:
        path.write_bytes(serialization.to_bytes(variables))
    finally:
        serialization.MAX_CHUNK_SIZE = whole
    convert(path, result)
    wanted, found = dict(flat(variables)), dict(np.load(result))
    require(set(found) == set(wanted), 'names differ: %s' % sorted(set(found) ^ set(wanted))[:4])
    for name, value in wanted.items():
        require(found[name].dtype == value.dtype and found[name].shape == value.shape, '%s is %s %s' % (name, found[name].dtype, found[name].shape))
        require(found[name].tobytes() == value.tobytes(), '%s has other bits' % name)
    return '%d arrays to the bit' % len(wanted)


def checks():
    yield 'flax model', check_model, 1 << 30
    yield 'flax model in pieces', check_model, 100


if __name__ == '__main__':
    run_checks(checks())
