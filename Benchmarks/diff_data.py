"""Writes a safetensors file of BERT-base's sizes, and beside it: a copy, one trained on, one in float16, one with other names and
turned matrices.

Usage: diff_data.py FOLDER
"""
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

folder = Path(sys.argv[1])
random = np.random.default_rng(1)
shapes = {'bert.embeddings.word_embeddings.weight': (21128, 768), 'bert.embeddings.position_embeddings.weight': (512, 768),
          'bert.embeddings.token_type_embeddings.weight': (2, 768)}
for layer in range(12):
    for part in ('attention.self.query', 'attention.self.key', 'attention.self.value', 'attention.output.dense', 'intermediate.dense', 'output.dense'):
        rows, columns = (3072, 768) if part.startswith('inter') else (768, 3072) if part == 'output.dense' else (768, 768)
        shapes['bert.encoder.layer.%d.%s.weight' % (layer, part)] = (rows, columns)
        shapes['bert.encoder.layer.%d.%s.bias' % (layer, part)] = (rows,)
arrays = {name: random.standard_normal(shape, 'float32') * np.float32(0.02) for name, shape in shapes.items()}
save_file(arrays, folder / 'a.safetensors')
save_file(arrays, folder / 'same.safetensors')
save_file({name: x + random.standard_normal(x.shape, 'float32') * np.float32(1e-4) for name, x in arrays.items()}, folder / 'tuned.safetensors')
save_file({name: x.astype('float16') for name, x in arrays.items()}, folder / 'half.safetensors')
save_file({'net.%d' % number: np.ascontiguousarray(x.T) for number, x in enumerate(arrays.values())}, folder / 'renamed.safetensors')
