"""What viterbi.sh times beside ckpt.

    viterbi_peers.py model LABELS FOLDER                  a small bert4keras model with a CRF of so many labels
    viterbi_peers.py bert4keras LABELS BATCHxLENGTH       its ViterbiDecoder, a text after the other
    viterbi_peers.py torchcrf LABELS BATCHxLENGTH THREADS
"""
import json
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
what, labels = sys.argv[1], int(sys.argv[2])
random = np.random.RandomState(1)
trans = random.uniform(-1, 1, (labels, labels)).astype('float32')


def measure(body):
    """The middle of at least three runs, of a second in all."""
    body()
    times, start = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < 1:
        before = time.perf_counter()
        body()
        times.append(time.perf_counter() - before)
    return sorted(times)[len(times) // 2] * 1e3


def scores():
    batch, length = map(int, sys.argv[3].split('x'))
    return batch, length, random.uniform(-3, 3, (batch, length, labels)).astype('float32')


if what == 'torchcrf':
    sys.path.insert(0, str(ROOT / '.bench' / 'pytorch-crf'))
    import torch
    from torchcrf import CRF
    torch.set_num_threads(int(sys.argv[4]))
    batch, length, nodes = scores()
    layer, emissions = CRF(labels, batch_first=True), torch.tensor(nodes)
    with torch.no_grad():
        layer.transitions.copy_(torch.tensor(trans))
        print('torchcrf', labels, batch, length, measure(lambda: layer.decode(emissions)))
    sys.exit()

sys.path.insert(0, str(ROOT / 'scripts' / 'python'))
import b4k_env  # noqa: F401  (before bert4keras)

if what == 'bert4keras':
    from bert4keras.snippets import ViterbiDecoder
    batch, length, nodes = scores()
    decoder = ViterbiDecoder(trans)
    print('bert4keras', labels, batch, length, measure(lambda: [decoder.decode(row) for row in nodes]))
else:
    import keras
    from bert4keras.layers import ConditionalRandomField
    from bert4keras.models import build_transformer_model
    folder = Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    config = {'hidden_act': 'gelu', 'hidden_size': 8, 'initializer_range': 0.02, 'intermediate_size': 8, 'max_position_embeddings': 8,
              'num_attention_heads': 2, 'num_hidden_layers': 1, 'type_vocab_size': 2, 'vocab_size': 10}
    (folder / 'config.json').write_text(json.dumps(config))
    base = build_transformer_model(str(folder / 'config.json'))
    layer = ConditionalRandomField()
    model = keras.models.Model(base.inputs, layer(keras.layers.Dense(labels)(base.output)))
    layer.set_weights([trans])
    model.save(str(folder / 'model.h5'))
