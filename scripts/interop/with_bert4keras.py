"""bert4keras builds the model from ckpt's config, loads its h5 in Keras' order, and computes the source's numbers."""
import re

import numpy as np

from bert4keras_models import build, call, compare, keras, load
from common import (EPSILONS, FIXTURES, Expected, Failed, Worst, ckpt, compare_fill_mask, convert, label, place, require,
                    run_checks)

UNTIE = ['--apply', 'untie']
TANH = ['--set', 'hidden_act=gelu_tanh']
BERT_MLM = ['--allow-drop', 'pooler.*', '--allow-drop', 'nsp.*']
ALBERT_MLM = ['--allow-drop', 'pooler.*', '--allow-drop', 'sop.*']
APPLICATIONS = {'bidirectional': 'encoder', 'causal': 'lm', 'unilm': 'unilm'}
# bert4keras has fixed epsilons; a source with layer_norm_eps 1e-5 comes out slightly different, and ckpt
# says so.
OTHER_EPSILON = 1e-5

# source, options, model of bert4keras, mask, what is allowed beside rounding
CASES = [
    ('b4k-bert', [], 'bert', 'bidirectional', 0),
    ('b4k-bert/weights.h5', [], 'bert', 'bidirectional', 0),
    ('b4k-bert/weights.h5', ['--allow-drop', 'mlm.*'], 'bert', 'bidirectional', 0),
    ('b4k-bert/weights.h5', ['--allow-drop', 'mlm.*', '--allow-drop', 'nsp.*'], 'bert', 'bidirectional', 0),
    ('b4k-bert', BERT_MLM, 'bert', 'causal', 0),
    ('b4k-bert', BERT_MLM, 'bert', 'unilm', 0),
    ('b4k-albert', [], 'albert', 'bidirectional', 0),
    ('b4k-albert', UNTIE, 'albert_unshared', 'bidirectional', EPSILONS),
    ('b4k-albert', ALBERT_MLM, 'albert', 'causal', 0),
    ('b4k-albert', UNTIE + ALBERT_MLM, 'albert_unshared', 'causal', EPSILONS),
    ('b4k-albert', UNTIE + ALBERT_MLM, 'albert_unshared', 'unilm', EPSILONS),
    ('b4k-albert-relu', [], 'albert', 'bidirectional', 0),
    ('b4k-albert-relu', UNTIE, 'albert_unshared', 'bidirectional', EPSILONS),
    ('b4k-bert-tanh/weights.h5', TANH, 'bert', 'bidirectional', 0),
    ('hf-bert', [], 'bert', 'bidirectional', 0),
    ('hf-bert-sharded', [], 'bert', 'bidirectional', 0),
    ('hf-bert-mlm', [], 'bert', 'bidirectional', 0),
    ('hf-bert-mlm', [], 'bert', 'causal', 0),
    ('hf-bert-gelu-new', ['--set', 'layer_norm_eps=1e-12'], 'bert', 'bidirectional', OTHER_EPSILON),
    ('hf-albert', [], 'albert', 'bidirectional', EPSILONS),
    ('hf-albert', UNTIE, 'albert_unshared', 'bidirectional', 0),
    ('hf-albert-groups', UNTIE, 'albert_unshared', 'bidirectional', 0),
]

# source, options, exit code, a word of the message: what bert4keras cannot hold must not be written
REFUSED = [
    ('hf-albert-groups', [], 2, 'untie'),
    ('hf-albert-equal', UNTIE, 2, 'projection'),
    ('hf-bert-gelu-new', [], 2, '--set'),
]


def fixture_of(source):
    name = source.partition('/')[0]
    return 'hf-bert' if name == 'hf-bert-sharded' else name


def check_model(source, options, expected_kind, mask, slack):
    keras.backend.clear_session()
    target = place('bert4keras', label(source, *options, mask) + '.h5')
    said = convert(FIXTURES / source, target, '--to', 'bert4keras', *options)
    require(said['missing_keys'] == [] and said['unexpected_keys'] == [], 'missing or unexpected keys')
    kind, model = load(said, target, application=APPLICATIONS[mask])
    require(kind == expected_kind, 'the command says model=%r' % kind)
    expected = Expected(fixture_of(source), mask)
    return '%s, %s' % (kind, compare(model, expected, slack))


def check_there_and_back(source, options, slack):
    """bert4keras → transformers' folder → bert4keras."""
    keras.backend.clear_session()
    folder = place('bert4keras', label(source, *options, 'there'))
    convert(FIXTURES / source, folder, '--to', 'huggingface', *options)
    target = place('bert4keras', label(source, *options, 'back') + '.h5')
    said = convert(folder, target, '--to', 'bert4keras')
    kind, model = load(said, target)
    expected = Expected(fixture_of(source))
    return '%s, %s' % (kind, compare(model, expected, slack))


def check_refused(source, options, code, word):
    target = place('bert4keras', label(source, *options, 'refused') + '.h5')
    said = ckpt('convert', FIXTURES / source, target, '--to', 'bert4keras', *options, code=code)
    require(not target.exists(), 'something was written')
    if word:
        require(word in said['error']['message'], 'the message does not speak of %s: %s' % (word, said['error']['message']))
    return 'exit code %d' % code


def check_user_layer():
    """A user's own layer on top is carried along and loads at its place."""
    keras.backend.clear_session()
    target = place('bert4keras', 'user.h5')
    said = convert(FIXTURES / 'b4k-bert-user', target, '--to', 'bert4keras')
    _, base = build(said, target.with_suffix('.config.json'))
    first = keras.layers.Lambda(lambda x: x[:, 0])(base.output)
    model = keras.Model(base.inputs, keras.layers.Dense(5, activation='softmax')(first))
    model.load_weights(str(target))
    expected = Expected('b4k-bert-user')
    answer, = call(model, expected.inputs)
    worst = Worst()
    worst.compare('dense_3', answer, expected['dense_3'], expected.tolerance('dense_3'))
    return str(worst)


def check_other_order_fails():
    """The check of order is a real one: bert4keras refuses a file whose heads are not those of the model."""
    keras.backend.clear_session()
    target = place('bert4keras', 'order.h5')
    said = convert(FIXTURES / 'b4k-bert', target, '--to', 'bert4keras')
    _, model = build(said, target.with_suffix('.config.json'))
    other = dict(said, loads_as="build_transformer_model(config, model='bert', with_pool=True)")
    _, smaller = build(other, target.with_suffix('.config.json'))
    model.load_weights(str(target))
    try:
        smaller.load_weights(str(target))
    except ValueError as error:
        return str(error).split('.')[0]
    raise Failed('a model without heads loaded a file with heads')


def check_fill_mask(options, chain):
    """The trained model answers as before; `chain` goes through transformers' folder."""
    keras.backend.clear_session()
    source = FIXTURES / 'tiny-albert'
    if chain:
        folder = place('bert4keras', label('tiny-albert', *options, 'folder'))
        convert(source, folder, '--to', 'huggingface', *options)
        source, options = folder, []
    target = place('bert4keras', label('tiny-albert', *options, 'chain' if chain else '') + '.h5')
    said = convert(source, target, '--to', 'bert4keras', *options)
    require(target.with_suffix('.vocab.txt').exists(), 'the vocabulary did not come along')
    kind, model = load(said, target)

    def probabilities(answer):
        inputs = {'Input-Token': np.array([answer['token_ids']]), 'Input-Segment': np.array([answer['segment_ids']])}
        answers, = call(model, inputs)
        return answers[0, answer['mask_position']]
    return '%s, %s' % (kind, compare_fill_mask(probabilities))


def checks():
    for source, options, kind, mask, slack in CASES:
        name = ' '.join(['bert4keras', source] + options + ([] if mask == 'bidirectional' else [mask]))
        yield name, check_model, source, options, kind, mask, slack
    for source, options, slack in (('b4k-bert', [], 0), ('b4k-albert', [], EPSILONS), ('b4k-albert', UNTIE, EPSILONS), ('b4k-albert-relu', UNTIE, EPSILONS)):
        yield ' '.join(['bert4keras there and back', source] + options), check_there_and_back, source, options, slack
    for source, options, code, word in REFUSED:
        yield ' '.join(['bert4keras refused', source] + options), check_refused, source, options, code, word
    yield 'bert4keras a layer of the user', check_user_layer
    yield 'bert4keras the order matters', check_other_order_fails
    for options, chain in (([], False), (UNTIE, False), ([], True), (UNTIE, True)):
        yield ' '.join(['bert4keras fill-mask tiny-albert'] + options + (['through transformers'] if chain else [])), check_fill_mask, options, chain


if __name__ == '__main__':
    run_checks(checks())
