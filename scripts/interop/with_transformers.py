"""transformers loads the folders that ckpt writes of BERT and ALBERT, and computes the source's numbers."""
import shutil

import numpy as np
import torch

from common import EPSILONS, FIXTURES, Expected, Worst, compare_fill_mask, convert, label, place, require, run_checks
from transformers_models import compute, load

UNTIE = ['--apply', 'untie']
AS_ALBERT = ['--to-family', 'albert']

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
]


def fixture_of(source):
    name = source.partition('/')[0]
    return 'hf-bert' if name == 'hf-bert-sharded' else name


def check_class(source, options, expected_class, mask):
    """Converts, loads and compares with what the fixture's own library computed."""
    name = fixture_of(source)
    folder = place('transformers', label(source, *options))
    said = convert(FIXTURES / source, folder, '--to', 'huggingface', *options)
    class_name, model = load(folder, said['missing_keys'])
    require(class_name == expected_class, 'config.json names %s, expected %s' % (class_name, expected_class))
    expected = Expected(name, mask)
    values = compute(model, expected.inputs)
    if said['missing_keys']:  # made at random on loading
        values.pop('pooler_output', None)
    worst = Worst(EPSILONS if 'albert' in name else 0)
    for value in values:
        require(value in expected, '%s is not recorded' % value)
        worst.compare(value, values[value], expected[value], expected.tolerance(value))
    missing = ', missing as announced: ' + ' '.join(said['missing_keys']) if said['missing_keys'] else ''
    return '%s, %s%s' % (class_name, worst, missing)


def check_alone(fixture, options):
    """A whole-model file without any configuration beside it says all that is needed."""
    alone, folder = place('transformers', 'alone', fixture + '.h5'), place('transformers', label('alone-' + fixture, *options))
    shutil.copyfile(FIXTURES / fixture / 'model.h5', alone)
    class_name, model = load(folder, convert(alone, folder, '--to', 'huggingface', *options)['missing_keys'])
    expected = Expected(fixture)
    worst = Worst(EPSILONS if 'albert' in fixture else 0)
    worst.compare('last_hidden_state', compute(model, expected.inputs)['last_hidden_state'], expected['last_hidden_state'],
                  expected.tolerance('last_hidden_state'))
    return '%s, %s' % (class_name, worst)


def check_fill_mask(options):
    """The trained model answers as bert4keras did."""
    folder = place('transformers', label('tiny-albert', *options))
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
    run_checks(checks())
