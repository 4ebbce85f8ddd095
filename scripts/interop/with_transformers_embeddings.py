"""transformers loads models whose embeddings ckpt changed: folded, with more positions, with fewer and with new tokens."""
import json

import numpy as np

from common import FIXTURES, Expected, Worst, convert, label, place, require, run_checks
from transformers_models import compute, load

FOLD = ['--apply', 'fold-embedding', '--allow-drop', '*/adam_?', '--allow-drop', 'global_step']

# source, options, class: the function is the source's
SAME = [
    ('google/brightmart-albert', FOLD, 'AlbertForPreTraining'),
    ('google/brightmart-albert', ['--apply', 'untie'] + FOLD, 'BertForPreTraining'),
    ('b4k-opt-hierarchical', ['--apply', 'extend-positions=9'], 'BertModel'),
    ('b4k-opt-hierarchical-number', ['--apply', 'extend-positions=16'], 'BertModel'),
    ('b4k-opt-hierarchical', ['--set', 'hierarchical_position=false', '--apply', 'extend-positions=9'], 'BertModel'),
    ('hf-roberta', ['--apply', 'extend-positions=40'], 'RobertaForMaskedLM'),
    ('hf-distilbert', ['--apply', 'extend-positions=40'], 'DistilBertForMaskedLM'),
    ('hf-gpt2', ['--apply', 'extend-positions=40'], 'GPT2LMHeadModel'),
]
# ids in their new order; RoBERTa's padding stays in place
TOKENS = {
    'hf-bert-mlm': [5, 0, 7, 3, 11, 12], 'hf-albert': [5, 0, 7, 3, 11, 12], 'hf-electra-generator': [5, 0, 7, 3, 11, 12],
    'hf-roberta': [0, 1, 7, 3, 11, 12], 'hf-gpt2': [5, 0, 7, 3, 11, 12], 'hf-t5': [0, 5, 1, 7, 3, 12],
    'hf-t5-gated': [0, 5, 1, 7, 3, 12], 'hf-mt5': [0, 5, 1, 7, 3, 12],
}
PARTS = [[1, 2], [3, 4, 5]]


def check_same(source, options, expected_class):
    folder = place('embeddings', label(source, *options))
    said = convert(FIXTURES / source, folder, '--to', 'huggingface', *options)
    class_name, model = load(folder, said['missing_keys'])
    require(class_name == expected_class, 'config.json names %s, expected %s' % (class_name, expected_class))
    expected, worst = Expected(source), Worst()
    values = compute(model, expected.inputs)
    if said['missing_keys']:  # made at random on loading
        values.pop('pooler_output', None)
    for value in values:
        name = 'nsp_logits' if value == 'sop_logits' and value not in expected else value
        require(name in expected, '%s is not recorded' % name)
        worst.compare(value, values[value], expected[name], expected.tolerance(name))
    return '%s, %s' % (class_name, worst)


def write(name, content):
    path = place('embeddings', name + '.json')
    path.write_text(json.dumps(content))
    return path


def check_tokens(source, kept):
    """Both are loaded by the library: kept tokens mean the same, and a new one's rows are the means."""
    target = place('embeddings', label(source, 'tokens'))
    steps = ['--apply', 'keep-tokens=%s' % write('keep', kept), '--apply', 'compound-tokens=%s' % write('parts', PARTS)]
    convert(FIXTURES / source, target, '--to', 'huggingface', *steps)
    (name, original), (other, model) = load(FIXTURES / source), load(target)
    require(name == other, 'became %s' % other)
    random, worst = np.random.default_rng(3), Worst()
    new = random.integers(0, len(kept), (2, 7))
    if source == 'hf-roberta':
        new[new == 1] = 2  # padding has no position of its own

    def feed(ids):
        inputs = {'input_ids': ids, 'attention_mask': np.ones_like(ids)}
        if 't5' in source:
            inputs['decoder_input_ids'] = ids[:, ::-1].copy()
        return inputs
    before, after = compute(original, feed(np.array(kept)[new])), compute(model, feed(new))
    require(sorted(before) == sorted(after), 'outputs are %s' % sorted(after))
    for value in before:
        if value in ('mlm_logits', 'lm_logits'):
            require(after[value].shape[-1] == len(kept) + len(PARTS), 'logits for another number of tokens')
            worst.compare(value, after[value][..., :len(kept)], before[value][..., kept])
            mean = np.stack([after[value][..., part].mean(-1) for part in PARTS], -1)
            worst.compare('means of ' + value, after[value][..., len(kept):], mean)
        else:
            worst.compare(value, after[value], before[value])
    return '%s, %s' % (name, worst)


def checks():
    for source, options, class_name in SAME:
        yield ' '.join(['transformers embeddings', source] + options), check_same, source, options, class_name
    for source, kept in TOKENS.items():
        yield 'transformers tokens ' + source, check_tokens, source, kept


if __name__ == '__main__':
    run_checks(checks())
