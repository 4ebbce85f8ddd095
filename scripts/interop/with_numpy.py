"""`ckpt run` computes the libraries' numbers: NumPy writes the inputs and reads the outputs."""
import numpy as np

from common import FIXTURES, Expected, Worst, ckpt, convert, fill_mask_answers, place, require, run_checks

UNTIE = ['--apply', 'untie']
TANH = ['--set', 'hidden_act=gelu_tanh']

# model, options, masks
CASES = [
    ('b4k-bert', [], ['bidirectional', 'causal', 'unilm']),
    ('b4k-bert/weights.h5', [], ['bidirectional']),
    ('b4k-bert/model_with_optimizer.h5', [], ['bidirectional']),
    ('b4k-albert', [], ['bidirectional', 'causal', 'unilm']),
    ('b4k-albert-relu', [], ['bidirectional']),
    ('b4k-bert-tanh/weights.h5', TANH, ['bidirectional']),
    ('b4k-bert-user', [], ['bidirectional']),
    ('hf-bert', [], ['bidirectional']),
    ('hf-bert-sharded', [], ['bidirectional']),
    ('hf-bert-gelu-new', [], ['bidirectional']),
    ('hf-bert-mlm', [], ['bidirectional', 'causal']),
    ('hf-albert', [], ['bidirectional']),
    ('hf-albert-groups', [], ['bidirectional']),
    ('hf-albert-equal', [], ['bidirectional']),
]


def check_run(source, options, mask):
    """Every value that the fixture records, by its canonical name."""
    fixture = source.partition('/')[0].replace('hf-bert-sharded', 'hf-bert')
    expected = Expected(fixture, mask)
    outputs = place('numpy', '%s-%s.npz' % (source.replace('/', '-'), mask))
    inputs = FIXTURES / fixture / 'inputs.npz'
    ckpt('run', FIXTURES / source, '--inputs', inputs, '--outputs', outputs, '--tap', '*', '--mask', mask, '--overwrite', *options)
    worst, missing = Worst(), []
    with np.load(outputs) as found:
        for name in expected.names:
            if name not in found.files:
                missing.append(name)
                continue
            require(found[name].dtype == np.float32, '%s is %s' % (name, found[name].dtype))
            worst.compare(name, found[name], expected[name], expected.tolerance(name))
    # What a user put on top is no part of the family's graph.
    require(not missing or missing == ['dense_3'], 'not computed: %s' % missing)
    return str(worst)


def check_inputs_formats():
    """The same answer for inputs of other integer types, as safetensors, and as one row."""
    inputs = dict(np.load(FIXTURES / 'b4k-bert' / 'inputs.npz'))
    results = []
    for dtype in ('int64', 'int32', 'uint8', 'float32'):
        path, outputs = place('numpy', 'inputs-%s.npz' % dtype), place('numpy', 'outputs-%s.npz' % dtype)
        np.savez(path, **{name: array.astype(dtype) for name, array in inputs.items()})
        ckpt('run', FIXTURES / 'b4k-bert', '--inputs', path, '--outputs', outputs, '--overwrite')
        results.append(dict(np.load(outputs)))
    for result in results[1:]:
        require(all(np.array_equal(result[name], results[0][name]) for name in results[0]), 'outputs depend on the integer type')
    path, outputs = place('numpy', 'row.npz'), place('numpy', 'row-outputs.npz')
    np.savez(path, **{name: array[1] for name, array in inputs.items()})
    ckpt('run', FIXTURES / 'b4k-bert', '--inputs', path, '--outputs', outputs, '--overwrite')
    worst = Worst()
    for name, value in np.load(outputs).items():
        worst.compare(name, value, results[0][name][1:2])
    return str(worst)


# Text


def check_fill_mask(options, dialect):
    """`ckpt run --task fill-mask` answers as bert4keras did, before and after a conversion."""
    model = FIXTURES / 'tiny-albert'
    if dialect:
        model = place('numpy', 'tiny-albert-%s%s' % (dialect, '-untied' if options else ''))
        convert(FIXTURES / 'tiny-albert', model, '--to', dialect, *options)
    answers, worst = fill_mask_answers(), Worst()
    said = ckpt('run', model, '--task', 'fill-mask', *[answer['sentence'] for answer in answers])
    require(len(said['results']) == len(answers), '%d results' % len(said['results']))
    for answer, result in zip(answers, said['results']):
        sentence = answer['sentence']
        require(result['text'] == sentence and len(result['masks']) == 1, '%s: other text or masks' % sentence)
        found = result['masks'][0]
        require(found['position'] == answer['mask_position'], '%s: position %s' % (sentence, found['position']))
        candidates = found['candidates'][:len(answer['top'])]
        require([(one['id'], one['token']) for one in candidates] == [(one['id'], one['token']) for one in answer['top']],
                '%s: %s' % (sentence, [one['token'] for one in candidates]))
        worst.compare(sentence, [one['probability'] for one in candidates], [one['probability'] for one in answer['top']], 2e-5)
    return str(worst)


def checks():
    for source, options, masks in CASES:
        for mask in masks:
            yield ' '.join(['run', source] + options + ([] if mask == 'bidirectional' else [mask])), check_run, source, options, mask
    yield 'run inputs of other types', check_inputs_formats
    for options, dialect in (([], None), ([], 'huggingface'), (UNTIE, 'huggingface'), ([], 'bert4keras'), (UNTIE, 'bert4keras')):
        yield ' '.join(['run fill-mask tiny-albert'] + ([dialect] if dialect else []) + options), check_fill_mask, options, dialect


if __name__ == '__main__':
    run_checks(checks())
