"""Writes models of BERT-large's size with random numbers, in float32: an ALBERT whose 24 layers share one
(transformers' names, safetensors), and a BERT with 24 layers of its own (bert4keras' names, HDF5)."""
import json
import sys

import h5py
import numpy as np
from safetensors.numpy import save_file

WIDTH, INNER, DEPTH, VOCABULARY, EMBEDDING = 1024, 4096, 24, 30522, 128
random = np.random.default_rng(1)


def values(*shape):
    return 0.02 * random.standard_normal(shape, dtype=np.float32)


def albert(folder):
    tensors = {
        'albert.embeddings.word_embeddings.weight': values(VOCABULARY, EMBEDDING),
        'albert.embeddings.position_embeddings.weight': values(512, EMBEDDING),
        'albert.embeddings.token_type_embeddings.weight': values(2, EMBEDDING),
        'albert.embeddings.LayerNorm.weight': 1 + values(EMBEDDING),
        'albert.embeddings.LayerNorm.bias': values(EMBEDDING),
    }

    def dense(name, inner, outer):
        tensors[f'{name}.weight'] = values(outer, inner)
        tensors[f'{name}.bias'] = values(outer)

    dense('albert.encoder.embedding_hidden_mapping_in', EMBEDDING, WIDTH)
    layer = 'albert.encoder.albert_layer_groups.0.albert_layers.0'
    for part in ['query', 'key', 'value', 'dense']:
        dense(f'{layer}.attention.{part}', WIDTH, WIDTH)
    for norm in [f'{layer}.attention.LayerNorm', f'{layer}.full_layer_layer_norm']:
        tensors[f'{norm}.weight'], tensors[f'{norm}.bias'] = 1 + values(WIDTH), values(WIDTH)
    dense(f'{layer}.ffn', WIDTH, INNER)
    dense(f'{layer}.ffn_output', INNER, WIDTH)
    dense('albert.pooler', WIDTH, WIDTH)
    save_file(tensors, f'{folder}/model.safetensors', {'format': 'pt'})
    with open(f'{folder}/config.json', 'w') as file:
        json.dump({
            'model_type': 'albert', 'architectures': ['AlbertModel'], 'vocab_size': VOCABULARY,
            'embedding_size': EMBEDDING, 'hidden_size': WIDTH, 'num_hidden_layers': DEPTH,
            'num_hidden_groups': 1, 'inner_group_num': 1, 'num_attention_heads': 16, 'intermediate_size': INNER,
            'max_position_embeddings': 512, 'type_vocab_size': 2, 'hidden_act': 'gelu_new',
            'layer_norm_eps': 1e-12}, file)


def bert(path):
    def layers():
        yield 'Embedding-Token', [('embeddings:0', values(VOCABULARY, WIDTH))]
        yield 'Embedding-Segment', [('embeddings:0', values(2, WIDTH))]
        yield 'Embedding-Position', [('embeddings:0', values(512, WIDTH))]
        norm = lambda: [('beta:0', values(WIDTH)), ('gamma:0', 1 + values(WIDTH))]
        dense = lambda name, a, b: [(f'{name}/kernel:0', values(a, b)), (f'{name}/bias:0', values(b))]
        yield 'Embedding-Norm', norm()
        for i in range(DEPTH):
            parts = ['dense', 'dense_1', 'dense_2', 'dense_3']
            yield (f'Transformer-{i}-MultiHeadSelfAttention', sum((dense(p, WIDTH, WIDTH) for p in parts), []))
            yield f'Transformer-{i}-MultiHeadSelfAttention-Norm', norm()
            yield f'Transformer-{i}-FeedForward', dense('dense', WIDTH, INNER) + dense('dense_1', INNER, WIDTH)
            yield f'Transformer-{i}-FeedForward-Norm', norm()

    with h5py.File(path, 'w') as file:
        names = []
        file.attrs['backend'], file.attrs['keras_version'] = b'tensorflow', b'2.15.0'
        for layer, weights in layers():
            group = file.create_group(layer)
            names.append(layer.encode())
            group.attrs['weight_names'] = [f'{layer}/{name}'.encode() for name, _ in weights]
            for name, value in weights:
                group[f'{layer}/{name}'] = value
        file.attrs['layer_names'] = names
    with open(path.replace('.h5', '.config.json'), 'w') as file:
        json.dump({
            'vocab_size': VOCABULARY, 'hidden_size': WIDTH, 'num_hidden_layers': DEPTH, 'num_attention_heads': 16,
            'intermediate_size': INNER, 'max_position_embeddings': 512, 'type_vocab_size': 2, 'hidden_act': 'gelu'},
            file)


albert(sys.argv[1])
bert(f'{sys.argv[1]}/bert.h5')
