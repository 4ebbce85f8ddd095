"""Steps on attention heads: transformers loads what they make of T5s and computes the original's numbers, or those of zeroed heads."""
import numpy as np
import torch

from common import FIXTURES, Expected, Worst, ckpt, convert, label, place, require, run_checks
from transformers_models import compute, load

TO = ['--to', 'huggingface']
FLAT = ['--apply', 'flatten-talking-heads']
NO_BIAS = ['--set', 'cross_position_bias=false']

# fixture, options, class: mixed heads made plain; layers that share a table keep it where there is one of them
MIXED = [
    ('b4k-t5-no-cross-bias', [], 'T5ForConditionalGeneration'),
    ('b4k-t5', NO_BIAS, 'UMT5ForConditionalGeneration'),
]

# fixture, the list of heads, which they are by attention and layer, steps besides, class
PRUNED = [
    ('hf-t5', '*.1', lambda part, layer: [1], [], 'T5ForConditionalGeneration'),
    ('hf-t5-gated', '*.0,*.2', lambda part, layer: [0, 2], [], 'T5ForConditionalGeneration'),
    ('hf-t5-encoder', '*.1-2', lambda part, layer: [1, 2], [], 'T5EncoderModel'),
    ('hf-mt5', 'encoder.0.0,decoder.0.0,decoder.cross.0.1', lambda part, layer: [1 if part == 'EncDecAttention' else 0], [],
     'MT5ForConditionalGeneration'),
    ('hf-t5', '0.1,1.0', lambda part, layer: [1 - layer], [], 'UMT5ForConditionalGeneration'),
    ('hf-umt5', '0.1,encoder.1.0', lambda part, layer: [1 - layer], [], 'UMT5ForConditionalGeneration'),
]


def check_mixed(fixture, options, expected_class):
    mixed = place('heads', label(fixture, 'mixed') + '.h5')
    convert(FIXTURES / fixture / 'weights.h5', mixed, '--apply', 'talking-heads:noise=0.4:seed=3', *options)
    folder = place('heads', label(fixture, 'mixed', 'flat', 'hf'))
    convert(mixed, folder, *FLAT, *TO)
    name, model = load(folder)
    require(name == expected_class, 'config.json names %s' % name)
    outputs = place('heads', label(fixture, 'mixed', 'hf') + '.npz')
    ckpt('run', mixed, '--inputs', FIXTURES / fixture / 'inputs.npz', '--outputs', outputs)
    expected, worst = np.load(outputs), Worst()
    for value, ours in compute(model, Expected(fixture).inputs).items():
        worst.compare(value, ours, expected[value])
    return '%s, %s' % (name, worst)


def zero(model, gone):
    for name, module in model.named_modules():
        part = name.rpartition('.')[2]
        if part in ('SelfAttention', 'EncDecAttention'):
            size = module.key_value_proj_dim
            layer = int(name.partition('block.')[2].partition('.')[0])
            with torch.no_grad():
                for head in gone(part, layer):
                    module.o.weight[:, head * size:(head + 1) * size] = 0


def check_pruned(fixture, heads, gone, steps, expected_class):
    inputs = Expected(fixture).inputs
    folder = place('heads', label(fixture, heads))
    convert(FIXTURES / fixture, folder, '--apply', 'prune-heads=' + heads, *steps, *TO)
    _, original = load(FIXTURES / fixture)
    whole = compute(original, inputs)
    zero(original, gone)
    expected, worst = compute(original, inputs), Worst()
    first = next(iter(expected))
    require(not np.allclose(whole[first], expected[first], atol=1e-3), 'the heads do nothing')
    name, model = load(folder)
    require(name == expected_class, 'config.json names %s' % name)
    for value, ours in compute(model, inputs).items():
        worst.compare(value, ours, expected[value])
    return '%s, %s' % (name, worst)


def checks():
    for fixture, options, name in MIXED:
        yield 'transformers mixed and flattened ' + fixture, check_mixed, fixture, options, name
    for fixture, heads, gone, steps, name in PRUNED:
        yield 'transformers pruned %s %s' % (fixture, heads), check_pruned, fixture, heads, gone, steps, name


if __name__ == '__main__':
    run_checks(checks())
