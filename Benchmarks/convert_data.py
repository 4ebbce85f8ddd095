"""Writes a Keras-like weights file with random numbers: BERT-base's shapes (400MB), or an encoder of
12 layers, 2,560 wide (4GB)."""
import sys

import h5py
import numpy as np


def layers(depth, width):
    """(layer, [(weight, shape)]) as bert4keras names them."""
    yield 'Embedding-Token', [('embeddings:0', (21128, width))]
    yield 'Embedding-Segment', [('embeddings:0', (2, width))]
    yield 'Embedding-Position', [('embeddings:0', (512, width))]
    yield 'Embedding-Norm', [('beta:0', (width,)), ('gamma:0', (width,))]
    for i in range(depth):
        dense = lambda n, a, b: [(f'{n}/kernel:0', (a, b)), (f'{n}/bias:0', (b,))]
        norm = [('beta:0', (width,)), ('gamma:0', (width,))]
        names = ['dense', 'dense_1', 'dense_2', 'dense_3']
        yield f'Transformer-{i}-MultiHeadSelfAttention', sum((dense(n, width, width) for n in names), [])
        yield f'Transformer-{i}-MultiHeadSelfAttention-Norm', norm
        yield f'Transformer-{i}-FeedForward', dense('dense', width, 4 * width) + dense('dense_1', 4 * width, width)
        yield f'Transformer-{i}-FeedForward-Norm', norm


def main(path, size):
    random = np.random.default_rng(1)
    with h5py.File(path, 'w') as file:
        table = list(layers(*{'400MB': (12, 768), '4GB': (12, 2560)}[size]))
        file.attrs['layer_names'] = [name.encode() for name, _ in table]
        file.attrs['backend'] = b'tensorflow'
        file.attrs['keras_version'] = b'2.15.0'
        for layer, weights in table:
            group = file.create_group(layer)
            group.attrs['weight_names'] = [f'{layer}/{name}'.encode() for name, _ in weights]
            for name, shape in weights:
                group[f'{layer}/{name}'] = random.standard_normal(shape, dtype=np.float32)


main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else '400MB')
