"""bert4keras builds the model from the config that ckpt wrote, loads its h5 in Keras' order, and computes the source's numbers."""
import ast
import re
import sys

import numpy as np

from common import (EPSILONS, FIXTURES, ROOT, Expected, Failed, Worst, ckpt, compare_fill_mask, convert, load_json, padding_mask,
                    place, require, run_checks, softmax)

sys.path.insert(0, str(ROOT / 'scripts' / 'python'))
import b4k_env  # noqa: F401  (before bert4keras)
import keras
from bert4keras.models import build_transformer_model

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

# A checkpoint under Google's names: model of bert4keras, its heads, its outputs
ALL_HEADS = {'with_pool': True, 'with_nsp': True, 'with_mlm': 'linear'}, ['nsp_probs', 'mlm_logits']
MLM = {'with_mlm': 'linear'}, ['mlm_logits']
GPT = {'final_activation': 'linear'}, ['lm_logits']
T5 = {'with_lm': 'linear'}, ['lm_logits']
GOOGLE = {
    'bert': ('bert', *ALL_HEADS), 'albert': ('albert', *ALL_HEADS), 'nezha': ('nezha', *MLM), 'roformer': ('roformer', *MLM),
    'roformer_v2': ('roformer_v2', *MLM), 'electra': ('electra', {'with_discriminator': 'linear'}, ['discriminator_logits']),
    'gpt': ('gpt', *GPT), 'gpt2': ('gpt2', *GPT), 'gpt2_ml': ('gpt2_ml', *GPT), 't5': ('t5.1.0', *T5), 't5.1.1': ('t5.1.1', *T5),
    'mt5.1.1': ('mt5.1.1', *T5),
}

# source, options, exit code, a word of the message: what bert4keras cannot hold must not be written
REFUSED = [
    ('hf-albert-groups', [], 2, 'untie'),
    ('hf-albert-equal', UNTIE, 2, 'projection'),
    ('hf-bert-gelu-new', [], 2, '--set'),
]


def build(said, config, application='encoder'):
    """The model that the command's own `loads_as` describes."""
    arguments = {name: ast.literal_eval(value) for name, value in re.findall(r"(\w+)=('[^']*'|True)", said['loads_as'])}
    kind = arguments.pop('model')
    return kind, build_transformer_model(str(config), model=kind, application=application, **arguments)


def load(said, target, application='encoder'):
    """Builds and loads in topological order, which is Keras' own check of order and shapes."""
    kind, model = build(said, target.with_suffix('.config.json'), application)
    model.load_weights(str(target))
    return kind, model


def compute(model, tokens, segments):
    """Every output under our names."""
    names = {layer.name for layer in model.layers}
    norms = [name for name in names if re.fullmatch(r'Transformer-\d+-FeedForward-Norm', name)]
    last = max(norms, key=lambda name: int(name.split('-')[1])) if norms else 'Transformer-FeedForward-Norm'
    layer = model.get_layer(last)
    tensors = {'last_hidden_state': layer.get_output_at(len(layer.inbound_nodes) - 1)}
    for name, value in (('Pooler-Dense', 'pooler_output'), ('NSP-Proba', 'nsp_probs'), ('MLM-Bias', 'mlm_logits')):
        if name in names:
            tensors[value] = model.get_layer(name).output
    outputs = call(keras.Model(model.inputs, list(tensors.values()) + model.outputs[:1]), tokens, segments)
    return dict(zip(tensors, outputs))


def call(model, *inputs):
    """A model's outputs, always as a list; without tracing, which takes longer than these models."""
    inputs = [keras.backend.constant(values) for values in inputs]
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return [output.numpy() for output in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]


def comparable(inputs):
    """Tokens, segments, and the rows and positions where bert4keras' rule of padding gives the source's mask.

    transformers may have padding with other ids, which become 0 here; rows where a 0 is a token are left out.
    """
    if 'Input-Token' in inputs:
        tokens = inputs['Input-Token']
        return tokens, inputs['Input-Segment'], np.ones(len(tokens), bool), np.ones(tokens.shape, bool)
    kept = inputs['attention_mask'] == 1
    tokens = np.where(kept, inputs['input_ids'], 0)
    rows = (padding_mask(tokens) == kept).all(1)
    require(rows.sum() >= 2, 'too few rows mean the same to both libraries')
    return tokens[rows], inputs['token_type_ids'][rows], rows, kept[rows]


def compare(values, expected, slack, places):
    rows, kept = places
    worst = Worst(slack)
    for name, ours in values.items():
        if name == 'nsp_probs':
            theirs, tolerance = softmax(expected['nsp_logits']), expected.tolerance('nsp_logits')
        else:
            theirs, tolerance = expected[name], expected.tolerance(name)
        theirs = theirs[rows]
        if ours.ndim == 3:
            ours, theirs = ours[kept], theirs[kept]
        worst.compare(name, ours, theirs, tolerance)
    return worst


def fixture_of(source):
    name = source.partition('/')[0]
    return 'hf-bert' if name == 'hf-bert-sharded' else name


def label(source, options, mask=''):
    return re.sub(r'[^\w-]+', '-', '-'.join([source] + options + [mask])).strip('-')


def check_model(source, options, expected_kind, mask, slack):
    keras.backend.clear_session()
    target = place('bert4keras', label(source, options, mask) + '.h5')
    said = convert(FIXTURES / source, target, '--to', 'bert4keras', *options)
    require(said['missing_keys'] == [] and said['unexpected_keys'] == [], 'missing or unexpected keys')
    kind, model = load(said, target, APPLICATIONS[mask])
    require(kind == expected_kind, 'the command says model=%r' % kind)
    expected = Expected(fixture_of(source), mask)
    tokens, segments, *places = comparable(expected.inputs)
    return '%s, %s' % (kind, compare(compute(model, tokens, segments), expected, slack, places))


def check_there_and_back(source, options, slack):
    """bert4keras → transformers' folder → bert4keras."""
    keras.backend.clear_session()
    folder = place('bert4keras', label(source, options, 'there'))
    convert(FIXTURES / source, folder, '--to', 'huggingface', *options)
    target = place('bert4keras', label(source, options, 'back') + '.h5')
    said = convert(folder, target, '--to', 'bert4keras')
    kind, model = load(said, target)
    expected = Expected(fixture_of(source))
    tokens, segments, *places = comparable(expected.inputs)
    return '%s, %s' % (kind, compare(compute(model, tokens, segments), expected, slack, places))


def check_google(name):
    """A TensorFlow checkpoint and a bert_config.json of ckpt's, which bert4keras loads by its own mapping of names."""
    keras.backend.clear_session()
    source, folder = FIXTURES / 'google' / name, place('bert4keras', 'google-' + name)
    family = ['--family', name] if name in ('nezha', 'roformer') else []  # their names are the same
    bias = ['--set', 'cross_position_bias=true'] if 't5' in name else []  # bert4keras' own choice, which the fixture has
    said = convert(source / 'bert_model.ckpt', folder, '--to', 'google', *family, *bias)
    require(said['missing_keys'] == [] and said['unexpected_keys'] == [], 'missing or unexpected keys')
    kind, heads, outputs = GOOGLE[name]
    require("model='%s'" % kind in said['loads_as'], 'loads as ' + said['loads_as'])
    model = build_transformer_model(str(folder / 'bert_config.json'), str(folder / 'bert_model.ckpt'), model=kind, **heads)
    values = source if (source / 'inputs.npz').exists() else source.with_name('t5.1.1')
    inputs, expected = np.load(values / 'inputs.npz'), np.load(values / 'expected.npz')
    found = call(model, *[inputs[tensor.name.split(':')[0]] for tensor in model.inputs])
    require(len(found) == len(outputs), 'has %d outputs' % len(found))
    worst = Worst()
    for key, value in zip(outputs, found):
        worst.compare(key, value, expected[key].reshape(value.shape))
    return '%s, %s' % (kind, worst)


def check_google_from(source, options, slack):
    """bert4keras' h5 → Google's names → bert4keras."""
    keras.backend.clear_session()
    folder = place('bert4keras', label(source, options, 'google'))
    said = convert(FIXTURES / source, folder, '--to', 'google', *options)
    arguments = {name: ast.literal_eval(value) for name, value in re.findall(r"(\w+)=('[^']*'|True)", said['loads_as'])}
    model = build_transformer_model(str(folder / 'bert_config.json'), str(folder / 'bert_model.ckpt'), **arguments)
    expected = Expected(fixture_of(source))
    tokens, segments, *places = comparable(expected.inputs)
    return '%s, %s' % (arguments['model'], compare(compute(model, tokens, segments), expected, slack, places))


def check_refused(source, options, code, word):
    target = place('bert4keras', label(source, options, 'refused') + '.h5')
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
    answer, = call(model, expected.inputs['Input-Token'], expected.inputs['Input-Segment'])
    worst = Worst()
    worst.compare('dense_3', answer, expected['dense_3'], expected.tolerance('dense_3'))
    return str(worst)


def check_other_order_fails():
    """The check of order is a real one: bert4keras refuses a file whose heads are not those of the model."""
    keras.backend.clear_session()
    target = place('bert4keras', 'order.h5')
    said = convert(FIXTURES / 'b4k-bert', target, '--to', 'bert4keras')
    _, model = build(said, target.with_suffix('.config.json'))
    _, smaller = build(dict(said, loads_as="model='bert', with_pool=True"), target.with_suffix('.config.json'))
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
        folder = place('bert4keras', label('tiny-albert', options, 'folder'))
        convert(source, folder, '--to', 'huggingface', *options)
        source, options = folder, []
    target = place('bert4keras', label('tiny-albert', options, 'chain' if chain else '') + '.h5')
    said = convert(source, target, '--to', 'bert4keras', *options)
    require(target.with_suffix('.vocab.txt').exists(), 'the vocabulary did not come along')
    kind, model = load(said, target)

    def probabilities(answer):
        answers, = call(model, np.array([answer['token_ids']]), np.array([answer['segment_ids']]))
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
    for name in GOOGLE:
        yield 'bert4keras google ' + name, check_google, name
    for source, slack in (('b4k-bert/weights.h5', 0), ('b4k-albert/weights.h5', 0), ('hf-albert', EPSILONS)):
        yield 'bert4keras through google ' + source, check_google_from, source, [], slack
    yield 'bert4keras a layer of the user', check_user_layer
    yield 'bert4keras the order matters', check_other_order_fails
    for options, chain in (([], False), (UNTIE, False), ([], True), (UNTIE, True)):
        yield ' '.join(['bert4keras fill-mask tiny-albert'] + options + (['through transformers'] if chain else [])), check_fill_mask, options, chain


if __name__ == '__main__':
    run_checks(checks())
