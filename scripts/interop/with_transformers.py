"""transformers loads the folders that ckpt writes, without a missing key, and computes the source's numbers."""
import os
import re
import shutil

os.environ['HF_HUB_OFFLINE'] = '1'

import numpy as np
import torch
import transformers

from common import (EPSILONS, FIXTURES, Expected, Worst, compare_fill_mask, convert, load_json, padding_mask, place,
                    require, run_checks)

# What a model returns, by our names.
OUTPUTS = [('last_hidden_state', 'last_hidden_state'), ('pooler_output', 'pooler_output'), ('prediction_logits', 'mlm_logits'),
           ('seq_relationship_logits', 'nsp_logits'), ('sop_logits', 'sop_logits'), ('start_logits', 'start_logits'),
           ('end_logits', 'end_logits'), ('encoder_last_hidden_state', 'encoder_last_hidden_state')]
# What a class calls its logits, by the end of its name.
LOGITS = {'ForNextSentencePrediction': 'nsp_logits', 'ForTokenClassification': 'logits', 'ForSequenceClassification': 'logits',
          'ForPreTraining': 'discriminator_logits', 'GPT2LMHeadModel': 'lm_logits', 'OpenAIGPTLMHeadModel': 'lm_logits',
          'ForConditionalGeneration': 'lm_logits'}

UNTIE = ['--apply', 'untie']
AS_ALBERT = ['--to-family', 'albert']
AS_ELECTRA = ['--to-family', 'electra']
WITHOUT_POOLER = ['--allow-drop', 'pooler.*', '--allow-drop', 'sop.*']

# source, options, class, mask
CASES = [
    ('b4k-bert', [], 'BertForPreTraining', 'bidirectional'),
    ('b4k-bert/weights.h5', [], 'BertForPreTraining', 'bidirectional'),
    ('b4k-bert/model_with_optimizer.h5', ['--allow-drop', 'optimizer_weights/*'], 'BertForPreTraining', 'bidirectional'),
    ('b4k-bert', ['--max-shard-size', '60KB'], 'BertForPreTraining', 'bidirectional'),
    ('b4k-bert', ['--allow-drop', 'mlm.*'], 'BertForNextSentencePrediction', 'bidirectional'),
    ('b4k-bert', ['--allow-drop', 'mlm.*', '--allow-drop', 'nsp.*'], 'BertModel', 'bidirectional'),
    ('b4k-bert', ['--allow-drop', 'pooler.*', '--allow-drop', 'nsp.*'], 'BertForMaskedLM', 'bidirectional'),
    ('b4k-bert', ['--set', 'mask=causal', '--allow-drop', 'pooler.*', '--allow-drop', 'nsp.*'], 'BertLMHeadModel', 'causal'),
    ('b4k-albert', [], 'AlbertForPreTraining', 'bidirectional'),
    ('b4k-albert', UNTIE, 'AlbertForPreTraining', 'bidirectional'),
    ('b4k-albert/weights.h5', UNTIE + ['--max-shard-size', '50KB'], 'AlbertForPreTraining', 'bidirectional'),
    ('b4k-albert', UNTIE + ['--allow-drop', 'mlm.*', '--allow-drop', 'sop.*'], 'AlbertModel', 'bidirectional'),
    ('b4k-albert-relu', [], 'AlbertForMaskedLM', 'bidirectional'),
    ('b4k-albert-relu', UNTIE, 'AlbertForMaskedLM', 'bidirectional'),
    ('b4k-bert-tanh/weights.h5', AS_ALBERT + ['--set', 'hidden_act=gelu_tanh'], 'AlbertModel', 'bidirectional'),
    ('b4k-bert-tanh/model.h5', AS_ALBERT, 'AlbertModel', 'bidirectional'),
    ('hf-bert', [], 'BertForPreTraining', 'bidirectional'),
    ('hf-bert-sharded', [], 'BertForPreTraining', 'bidirectional'),
    ('hf-bert-gelu-new', [], 'BertModel', 'bidirectional'),
    ('hf-bert-mlm', [], 'BertForMaskedLM', 'bidirectional'),
    ('hf-albert', [], 'AlbertForPreTraining', 'bidirectional'),
    ('hf-albert', UNTIE, 'AlbertForPreTraining', 'bidirectional'),
    ('hf-albert-groups', [], 'AlbertForPreTraining', 'bidirectional'),
    ('hf-albert-groups', UNTIE, 'AlbertForPreTraining', 'bidirectional'),
    ('hf-albert-equal', [], 'AlbertModel', 'bidirectional'),
    ('hf-albert-equal', UNTIE, 'AlbertModel', 'bidirectional'),
    ('b4k-albert', UNTIE + AS_ELECTRA + WITHOUT_POOLER, 'ElectraForMaskedLM', 'bidirectional'),
    ('hf-albert', UNTIE + AS_ELECTRA + WITHOUT_POOLER + ['--allow-drop', 'mlm.*'], 'ElectraModel', 'bidirectional'),
    ('hf-albert-token', AS_ELECTRA, 'ElectraForTokenClassification', 'bidirectional'),
    ('hf-albert-qa', AS_ELECTRA, 'ElectraForQuestionAnswering', 'bidirectional'),
    ('hf-albert', ['--allow-drop', 'mlm.*'], 'AlbertForPreTraining', 'bidirectional'),
    ('hf-bert', ['--allow-drop', 'pooler.*', '--allow-drop', 'nsp.*', '--allow-drop', 'mlm.*'], 'BertModel', 'bidirectional'),
    ('hf-roberta', ['--allow-drop', 'mlm.*'], 'RobertaModel', 'bidirectional'),
    ('hf-t5', ['--apply', 'fold-decoder-scale'], 'T5ForConditionalGeneration', 'bidirectional'),
    ('hf-t5', ['--apply', 'fold-decoder-scale', '--to-family', 'mt5'], 'MT5ForConditionalGeneration', 'bidirectional'),
    ('hf-mt5', ['--to-family', 't5'], 'T5ForConditionalGeneration', 'bidirectional'),
    ('b4k-user-sequence', ['--set', 'head.dense=sequence'], 'BertForTokenClassification', 'bidirectional'),
    ('b4k-user-pooler', ['--set', 'head.dense=pooler'], 'BertForSequenceClassification', 'bidirectional'),
    ('b4k-opt-segments0', ['--to-family', 'distilbert'], 'DistilBertModel', 'bidirectional'),
] + [(name, [], None, 'bidirectional') for name in (
    'hf-bert-old', 'hf-bert-nsp', 'hf-bert-token', 'hf-bert-sequence', 'hf-bert-qa', 'hf-albert-token', 'hf-albert-sequence',
    'hf-albert-qa', 'hf-electra-discriminator', 'hf-electra-generator', 'hf-electra-equal', 'hf-electra-token',
    'hf-electra-sequence', 'hf-electra-qa', 'hf-roformer', 'hf-roformer-rotary-value', 'hf-roformer-sequence', 'hf-roberta',
    'hf-roberta-sequence', 'hf-distilbert', 'hf-distilbert-sequence', 'hf-distilbert-qa', 'hf-gpt', 'hf-gpt2', 'hf-t5',
    'hf-t5-gated', 'hf-t5-encoder', 'hf-mt5', 'hf-tf-bert', 'hf-tf-albert', 'hf-tf-electra', 'hf-tf-distilbert', 'hf-tf-gpt2',
    'hf-tf-t5', 'hf-tf-roberta', 'hf-tf-roformer')]

# Fixtures whose inputs and values are another's.
VALUES = {'hf-bert-sharded': 'hf-bert', 'hf-bert-old': 'hf-bert-tiny', 'hf-tf-bert': 'hf-bert-tiny',
          'hf-tf-electra': 'hf-electra-discriminator'}


def load(folder, missing=()):
    """The class that config.json names; every key must find its place, but for those the command said are missing."""
    name = load_json(folder / 'config.json')['architectures'][0]
    model, information = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
    wrong = {what: sorted(keys) for what, keys in information.items() if keys}
    if missing and wrong.get('missing_keys') == sorted(missing):
        del wrong['missing_keys']
    require(not wrong, '%s: %s' % (name, wrong))
    return name, model.eval()


def feed(inputs):
    """A fixture's inputs under transformers' names; where there is no mask, bert4keras' rule makes one."""
    if 'input_ids' not in inputs:
        tokens = inputs['Input-Token']
        segments = {'token_type_ids': inputs['Input-Segment']} if 'Input-Segment' in inputs else {}
        inputs = {'input_ids': tokens, 'attention_mask': padding_mask(tokens), **segments}
    return {name: torch.from_numpy(np.asarray(array, 'int64')) for name, array in inputs.items()}


def compute(model, inputs):
    """Every output of a model under our names; hidden states also from a class with heads."""
    with torch.no_grad():
        outputs = model(**feed(inputs), output_hidden_states=True, return_dict=True)
    values = {ours: outputs[theirs].numpy() for theirs, ours in OUTPUTS if outputs.get(theirs) is not None}
    if 'logits' in outputs:
        kind = next((logits for end, logits in LOGITS.items() if type(model).__name__.endswith(end)), 'mlm_logits')
        values[kind] = outputs['logits'].numpy()
    if type(model).__name__.endswith('EncoderModel'):
        values['encoder_last_hidden_state'] = values.pop('last_hidden_state')
        return values
    states = outputs['decoder_hidden_states' if 'decoder_hidden_states' in outputs else 'hidden_states']
    values.setdefault('last_hidden_state', states[-1].numpy())
    return values


def fixture_of(source):
    name = source.partition('/')[0]
    return VALUES.get(name, name.replace('hf-tf-', 'hf-'))


def label(source, options):
    """A folder's name: no suffix of a file, which would make the command write a file."""
    return re.sub(r'[^\w-]+', '-', '-'.join([source] + options)).strip('-')


def check_class(source, options, expected_class, mask):
    """Converts, loads and compares with what the fixture's own library computed; a transformers model stays in its class."""
    name = fixture_of(source)
    folder = place('transformers', label(source, options))
    said = convert(FIXTURES / source, folder, '--to', 'huggingface', *options)
    class_name, model = load(folder, said['missing_keys'])
    expected_class = expected_class or load_json(FIXTURES / fixture_of(source) / 'config.json')['architectures'][0]
    require(class_name == expected_class, 'config.json names %s, expected %s' % (class_name, expected_class))
    expected = Expected(name, mask)
    values = compute(model, expected.inputs)
    for part, value in (('pooler', 'pooler_output'), ('predictions', 'mlm_logits')):
        if any(part in key for key in said['missing_keys']):  # made at random on loading
            values.pop(value, None)
    worst = Worst(EPSILONS if 'albert' in name else 0)
    for value in values:
        require(value in expected, '%s is not recorded' % value)
        worst.compare(value, values[value], expected[value], expected.tolerance(value))
    missing = ', missing as announced: ' + ' '.join(said['missing_keys']) if said['missing_keys'] else ''
    return '%s, %s%s' % (class_name, worst, missing)


def check_alone(fixture, options):
    """A whole-model file without any configuration beside it says all that is needed."""
    alone, folder = place('transformers', 'alone', fixture + '.h5'), place('transformers', label('alone-' + fixture, options))
    shutil.copyfile(FIXTURES / fixture / 'model.h5', alone)
    class_name, model = load(folder, convert(alone, folder, '--to', 'huggingface', *options)['missing_keys'])
    expected = Expected(fixture)
    worst = Worst(EPSILONS if 'albert' in fixture else 0)
    worst.compare('last_hidden_state', compute(model, expected.inputs)['last_hidden_state'], expected['last_hidden_state'],
                  expected.tolerance('last_hidden_state'))
    return '%s, %s' % (class_name, worst)


def check_fill_mask(options):
    """The trained model answers as bert4keras did."""
    folder = place('transformers', label('tiny-albert', options))
    convert(FIXTURES / 'tiny-albert', folder, '--to', 'huggingface', *options)
    class_name, model = load(folder)
    require((folder / 'vocab.txt').read_bytes() == (FIXTURES / 'tiny-albert' / 'vocab.txt').read_bytes(), 'vocab.txt differs')

    def probabilities(answer):
        tokens = np.array([answer['token_ids']])
        inputs = {'Input-Token': tokens, 'Input-Segment': np.array([answer['segment_ids']])}
        logits = compute(model, inputs)['mlm_logits'][0, answer['mask_position']]
        return torch.softmax(torch.from_numpy(logits), -1).numpy()
    return '%s, %s' % (class_name, compare_fill_mask(probabilities))


def checks():
    for source, options, class_name, mask in CASES:
        yield ' '.join(['transformers', source] + options), check_class, source, options, class_name, mask
    for fixture, options in (('b4k-bert', []), ('b4k-albert', UNTIE), ('b4k-bert-tanh', AS_ALBERT)):
        yield ' '.join(['transformers model.h5 alone', fixture] + options), check_alone, fixture, options
    for options in ([], UNTIE):
        yield ' '.join(['transformers fill-mask tiny-albert'] + options), check_fill_mask, options


if __name__ == '__main__':
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    run_checks(checks())
