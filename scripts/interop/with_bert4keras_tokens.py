"""bert4keras loads what ckpt trimmed as it loads an untrimmed checkpoint with keep_tokens and compound_tokens."""
import numpy as np

from bert4keras_models import call, keras, load
from common import FIXTURES, Worst, convert, label, place, require, run_checks

FOLDER = FIXTURES / 'b4k-tokens'
STEPS = ['--apply', 'keep-tokens=%s' % (FOLDER / 'keep_tokens.json'), '--apply',
         'compound-tokens=%s' % (FOLDER / 'compound_tokens.json')]
ERF = ['--set', 'hidden_act=gelu_erf', '--allow-drop', 'pooler.*']
T5 = ['--set', 'cross_position_bias=true', '--set', 'scale_decoder_outputs=true']
CASES = {
    'bert': ERF + ['--allow-drop', 'nsp.*'], 'albert': ERF + ['--allow-drop', 'sop.*'], 'gpt2_ml': ERF[:2], 't5': T5,
    't5.1.1': T5 + ['--set', 'hidden_act=gelu_erf,linear'],
}
LAYERS = {'token': 'Embedding-Token', 'bias': 'MLM-Bias', 'kernel': 'Decoder-Output-LM'}


def check_tokens(name, options):
    keras.backend.clear_session()
    target = place('tokens', label(name) + '.h5')
    said = convert(FIXTURES / 'google' / name / 'bert_model.ckpt', target, '--to', 'bert4keras', *STEPS, *options)
    kind, model = load(said, target)
    expected, worst = dict(np.load(FOLDER / (name + '.npz'))), Worst()
    for key, layer in LAYERS.items():
        if key in expected:
            worst.compare(key, model.get_layer(layer).get_weights()[0], expected[key], 1e-6)
    outputs = call(model, expected)
    require(len(outputs) == 1, '%d outputs' % len(outputs))
    value, = (value for value in expected if value.endswith('_probs'))
    worst.compare(value, outputs[0], expected[value])
    return '%s, %s' % (kind, worst)


def checks():
    for name, options in CASES.items():
        yield 'bert4keras tokens ' + name, check_tokens, name, options


if __name__ == '__main__':
    run_checks(checks())
