"""Writes a Keras-like weights file of BERT-base's shapes with random numbers."""
import sys

import h5py
import numpy as np


def layers():
    """(layer, [(weight, shape)]) as bert4keras names them."""
    yield 'Embedding-Token', [('embeddings:0', (21128, 768))]
    yield 'Embedding-Segment', [('embeddings:0', (2, 768))]
    yield 'Embedding-Position', [('embeddings:0', (512, 768))]
    yield 'Embedding-Norm', [('beta:0', (768,)), ('gamma:0', (768,))]
    for i in range(12):
        dense = lambda n, a, b: [(f'{n}/kernel:0', (a, b)), (f'{n}/bias:0', (b,))]
        norm = [('beta:0', (768,)), ('gamma:0', (768,))]
        names = ['dense', 'dense_1', 'dense_2', 'dense_3']
        yield f'Transformer-{i}-MultiHeadSelfAttention', sum((dense(n, 768, 768) for n in names), [])
        yield f'Transformer-{i}-MultiHeadSelfAttention-Norm', norm
        yield f'Transformer-{i}-FeedForward', dense('dense', 768, 3072) + dense('dense_1', 3072, 768)
        yield f'Transformer-{i}-FeedForward-Norm', norm


def main(path):
    random = np.random.default_rng(1)
    with h5py.File(path, 'w') as file:
        table = list(layers())
        file.attrs['layer_names'] = [name.encode() for name, _ in table]
        file.attrs['backend'] = b'tensorflow'
        file.attrs['keras_version'] = b'2.15.0'
        for layer, weights in table:
            group = file.create_group(layer)
            group.attrs['weight_names'] = [f'{layer}/{name}'.encode() for name, _ in weights]
            for name, shape in weights:
                group[f'{layer}/{name}'] = random.standard_normal(shape, dtype=np.float32)


main(sys.argv[1])
