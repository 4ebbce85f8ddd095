"""bert4keras loads what ckpt writes of its other families and options, and of transformers', and computes the source's numbers."""
from bert4keras_models import compare, keras, load
from common import EPSILONS, FIXTURES, Expected, ckpt, convert, label, place, require, run_checks

# source, options of the command, arguments in code, mask: what bert4keras saved, written again by ckpt
OWN = [
    ('b4k-nezha', [], {}, 'bidirectional'),
    ('b4k-nezha', [], {}, 'long'),
    ('b4k-roformer', [], {}, 'bidirectional'),
    ('b4k-roformer', ['--allow-drop', 'pooler.*', '--allow-drop', 'nsp.*'], {'application': 'unilm'}, 'unilm'),
    ('b4k-roformer-v2', [], {}, 'bidirectional'),
    ('b4k-gpt', [], {}, 'bidirectional'),
    ('b4k-gpt2', [], {}, 'bidirectional'),
    ('b4k-gpt2-ml', [], {}, 'bidirectional'),
    ('b4k-electra', [], {}, 'bidirectional'),
    ('b4k-gau-alpha', [], {}, 'long'),
    ('b4k-simbert', ['--set', 'pooler_activation=linear'], {'application': 'unilm'}, 'unilm'),
    ('b4k-bert-prefix', [], {}, 'bidirectional'),
    ('b4k-albert-unshared', [], {}, 'bidirectional'),
    ('b4k-t5', [], {}, 'bidirectional'),
    ('b4k-t5', [], {}, 'long'),
    ('b4k-t5.1.1', [], {}, 'bidirectional'),
    ('b4k-t5-no-cross-bias', [], {}, 'bidirectional'),
    ('b4k-opt-sizes', [], {}, 'bidirectional'),
    ('b4k-opt-gated', [], {}, 'bidirectional'),
    ('b4k-opt-segments0', [], {}, 'bidirectional'),
    ('b4k-opt-segments3', [], {}, 'bidirectional'),
    ('b4k-opt-shared-segments', [], {}, 'bidirectional'),
    ('b4k-opt-hierarchical', [], {}, 'bidirectional'),
    ('b4k-opt-residual', [], {}, 'bidirectional'),
    ('b4k-opt-positions', [], {}, 'bidirectional'),
    ('b4k-opt-linear-mlm', ['--set', 'pooler_activation=relu'], {}, 'bidirectional'),
    ('b4k-opt-keep-tokens', ['--set', 'vocab_size=19'], {}, 'bidirectional'),
]

# A T5's half alone: the file, its values.
HALVES = [('b4k-t5/encoder.h5', 'encoder'), ('b4k-t5/decoder.h5', 'decoder'), ('b4k-t5.1.1/encoder.h5', 'encoder')]

# fixture, options, kind, what is allowed beside rounding: what transformers saved
TRANSFORMERS = [
    ('hf-electra-discriminator', [], 'electra', EPSILONS),
    ('hf-roformer', [], 'roformer', EPSILONS),
    ('hf-distilbert', [], 'bert', 0),
    ('hf-gpt2', [], 'gpt2', 0),
    ('hf-t5', [], 't5.1.0', 0),
]

# fixture, options: through transformers' folder and back
THERE_AND_BACK = [
    ('b4k-electra', [], EPSILONS),
    ('b4k-roformer', ['--allow-drop', 'pooler.*', '--allow-drop', 'nsp.*'], EPSILONS),
    ('b4k-gpt2', [], 0),
    ('b4k-t5-no-cross-bias', [], 0),
    ('b4k-opt-segments0', ['--to-family', 'distilbert'], 0),
    ('b4k-albert-unshared', ['--to-family', 'albert'], EPSILONS),
]

# source, options, a word of the message: what bert4keras cannot hold must not be written
REFUSED = [
    ('hf-gpt', [], '--set'),
    ('hf-t5-gated', [], ''),
    ('hf-mt5', [], ''),
    ('hf-t5-encoder', [], ''),
    ('hf-electra-generator', [], ''),
    ('hf-roberta', [], ''),
    ('hf-roformer-rotary-value', [], ''),
]


def check_again(source, options, arguments, mask):
    keras.backend.clear_session()
    target = place('bert4keras', 'families', label(source, *options, mask) + '.h5')
    said = convert(FIXTURES / source, target, '--to', 'bert4keras', *options)
    kind, model = load(said, target, **arguments)
    return '%s, %s' % (kind, compare(model, Expected(source, mask)))


def check_half(source, side):
    keras.backend.clear_session()
    fixture = source.split('/')[0]
    target = place('bert4keras', 'families', label(source) + '.h5')
    said = convert(FIXTURES / source, target, '--to', 'bert4keras', '--config', FIXTURES / fixture / 'config.json')
    kind, model = load(said, target)
    return '%s, %s' % (kind, compare(model, Expected(fixture, side)))


def check_transformers(source, options, expected_kind, slack):
    keras.backend.clear_session()
    target = place('bert4keras', 'families', label(source, *options) + '.h5')
    said = convert(FIXTURES / source, target, '--to', 'bert4keras', *options)
    kind, model = load(said, target)
    require(kind == expected_kind, 'the command says model=%r' % kind)
    return '%s, %s' % (kind, compare(model, Expected(source), slack))


def check_there_and_back(source, options, slack):
    keras.backend.clear_session()
    folder, target = (place('bert4keras', 'families', label(source, *options, way)) for way in ('there', 'back'))
    target = target.with_suffix('.h5')
    convert(FIXTURES / source, folder, '--to', 'huggingface', *options)
    kind, model = load(convert(folder, target, '--to', 'bert4keras'), target)
    return '%s, %s' % (kind, compare(model, Expected(source), slack))


def check_refused(source, options, word):
    target = place('bert4keras', 'families', label(source, *options, 'refused') + '.h5')
    error = ckpt('convert', FIXTURES / source, target, '--to', 'bert4keras', *options, code=2)['error']
    require(not target.exists(), 'something was written')
    text = error['message'] + str(error.get('hint', ''))
    require(word in text, 'does not speak of %s: %s' % (word, text))
    return error['message'].split(': ')[-1]


def checks():
    for source, options, arguments, mask in OWN:
        name = ' '.join(['bert4keras again', source] + options + ([] if mask == 'bidirectional' else [mask]))
        yield name, check_again, source, options, arguments, mask
    for source, side in HALVES:
        yield 'bert4keras again ' + source, check_half, source, side
    for source, options, kind, slack in TRANSFORMERS:
        yield ' '.join(['bert4keras', source] + options), check_transformers, source, options, kind, slack
    for source, options, slack in THERE_AND_BACK:
        yield ' '.join(['bert4keras there and back', source] + options), check_there_and_back, source, options, slack
    for source, options, word in REFUSED:
        yield ' '.join(['bert4keras refused', source] + options), check_refused, source, options, word


if __name__ == '__main__':
    run_checks(checks())
