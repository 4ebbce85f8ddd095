"""keras-bert 0.89.0 builds the model from the configuration that ckpt wrote, loads its h5, and computes the source's numbers.

It was made for older Keras, so what it asks of Keras and no longer finds is put there. Its parts are small packages without more
dependencies; the first run installs them into .venv/keras-bert-0.89.0, beside the environment they are used with.
"""
import os
import subprocess
import sys
import types

import numpy as np

from common import FIXTURES, ROOT, Expected, Worst, convert, label, padding_mask, place, require, run_checks, softmax

PACKAGES = ['keras-bert==0.89.0', 'keras-transformer==0.40.0', 'keras-multi-head==0.29.0', 'keras-self-attention==0.51.0',
            'keras-layer-normalization==0.16.0', 'keras-position-wise-feed-forward==0.8.0', 'keras-pos-embd==0.13.0',
            'keras-embed-sim==0.10.0']
FOLDER = ROOT / '.venv' / 'keras-bert-0.89.0'

# source, fixture, options
CASES = [
    ('b4k-bert', 'b4k-bert', []),
    ('b4k-bert/model.h5', 'b4k-bert', []),
    ('hf-bert', 'hf-bert', []),
    ('hf-bert-mlm', 'hf-bert-mlm', []),
    ('google/bert-adam/bert_model.ckpt', 'google/bert-adam', ['--allow-drop', '*/adam_?', '--allow-drop', 'global_step']),
]


def prepare():
    if not FOLDER.exists():
        install = [sys.executable, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps']
        subprocess.run(install + ['--no-build-isolation', '--target', str(FOLDER)] + PACKAGES, check=True)
    sys.path.insert(0, str(FOLDER))
    import tensorflow as tf
    tf.compat.v1.disable_v2_behavior()
    import keras
    sys.modules['tensorflow.keras'] = tf.keras = tf.__dict__['keras'] = keras
    sys.modules['tensorflow.keras.backend'] = keras.backend
    keras.__version__ = '2.15.0-tf'
    os.environ['TF_KERAS'] = '0'  # else it wants TensorFlow's own copy of Keras
    keras.backend.identity = tf.identity
    for missing in ('engine', 'wrappers'):
        sys.modules['keras.' + missing] = keras.__dict__[missing] = types.ModuleType(missing)
    keras.engine.InputSpec = keras.layers.InputSpec
    return keras


keras = prepare()
import keras_bert
import tensorflow as tf

GELU = keras_bert.bert.gelu  # the one of tanh


def compute(model, inputs, depth):
    """Every output under our names."""
    names = {layer.name for layer in model.layers}
    layers = {'last_hidden_state': 'Encoder-%d-FeedForward-Norm' % depth,
              'pooler_output': 'NSP-Dense', 'nsp_probs': 'NSP', 'mlm_probs': 'MLM-Sim'}
    tensors = {value: model.get_layer(layer).output for value, layer in layers.items() if layer in names}
    length = inputs['Input-Token'].shape[1]
    padding = ((0, 0), (0, int(model.inputs[0].shape[1]) - length))  # the length is fixed
    fed = [np.pad(inputs.get(tensor.name.split(':')[0], np.ones_like(inputs['Input-Token'])), padding) for tensor in model.inputs]
    values = dict(zip(tensors, keras.backend.function(model.inputs, list(tensors.values()))(fed)))
    return {name: value[:, :length] if value.ndim == 3 else value for name, value in values.items()}


def check_model(source, fixture, options):
    keras.backend.clear_session()
    target = place('keras-bert', label(source, *options) + '.h5')
    said = convert(FIXTURES / source, target, '--to', 'keras-bert', *options)
    training, by_name = ('%s=True' % word in said['loads_as'] for word in ('training', 'by_name'))
    exact = any('feed_forward_activation=tf.nn.gelu' in note for note in said['notes'])
    keras_bert.bert.gelu = tf.nn.gelu if exact else GELU
    model, config = keras_bert.build_model_from_config(str(target.with_suffix('.config.json')), training=training)
    model.load_weights(str(target), by_name=by_name)
    expected = Expected(fixture)
    inputs = expected.inputs
    tokens = inputs['Input-Token'] if 'Input-Token' in inputs else np.where(inputs['attention_mask'] == 1, inputs['input_ids'], 0)
    segments = inputs['Input-Segment'] if 'Input-Segment' in inputs else inputs['token_type_ids']
    kept = inputs.get('attention_mask', padding_mask(tokens)) == 1
    rows = ((tokens > 0) == kept).all(1)  # a 0 is padding for it at every position, the first too
    require(rows.any(), 'no row means the same to both libraries')
    worst = Worst()
    fed = {'Input-Token': tokens[rows], 'Input-Segment': segments[rows]}
    for name, ours in compute(model, fed, config['num_hidden_layers']).items():
        logits = name.replace('_probs', '_logits')
        if logits not in expected:  # a head that the source has not
            continue
        theirs = expected[logits][rows]
        theirs = theirs if name == logits else softmax(theirs)
        if ours.ndim == 3:
            ours, theirs = ours[kept[rows]], theirs[kept[rows]]
        worst.compare(name, ours, theirs, expected.tolerance(logits))
    return str(worst)


def checks():
    for source, fixture, options in CASES:
        yield ' '.join(['keras-bert', source] + options), check_model, source, fixture, options


if __name__ == '__main__':
    run_checks(checks())
