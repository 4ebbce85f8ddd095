"""transformers loads what ckpt writes of every other family and of tasks' classes, and computes the source's numbers."""
from common import EPSILONS, FIXTURES, Expected, Worst, ckpt, convert, label, place, require, run_checks
from transformers_models import compute, load

UNTIE = ['--apply', 'untie']
FOLD = ['--apply', 'fold-decoder-scale']
# What bert4keras' RoFormer has and transformers' has not.
NO_POOLER = ['--allow-drop', 'pooler.*', '--allow-drop', 'nsp.*']
NO_SOP = ['--allow-drop', 'pooler.*', '--allow-drop', 'sop.*']

# fixture, options, class: ckpt reads transformers' own files of it and writes them again
OWN = [
    ('hf-electra-discriminator', [], 'ElectraForPreTraining'),
    ('hf-electra-generator', [], 'ElectraForMaskedLM'),
    ('hf-electra-equal', [], 'ElectraModel'),
    ('hf-roformer', [], 'RoFormerForMaskedLM'),
    ('hf-roformer-rotary-value', [], 'RoFormerModel'),
    ('hf-roberta', [], 'RobertaForMaskedLM'),
    ('hf-distilbert', [], 'DistilBertForMaskedLM'),
    ('hf-gpt', [], 'OpenAIGPTLMHeadModel'),
    ('hf-gpt2', [], 'GPT2LMHeadModel'),
    ('hf-t5', [], 'T5ForConditionalGeneration'),
    ('hf-t5', FOLD, 'T5ForConditionalGeneration'),
    ('hf-t5', FOLD + ['--to-family', 'mt5'], 'MT5ForConditionalGeneration'),
    ('hf-t5-gated', [], 'T5ForConditionalGeneration'),
    ('hf-mt5', [], 'MT5ForConditionalGeneration'),
    ('hf-mt5', ['--to-family', 't5'], 'T5ForConditionalGeneration'),
    ('hf-t5-encoder', [], 'T5EncoderModel'),
    ('hf-bert', NO_POOLER + ['--allow-drop', 'mlm.*'], 'BertModel'),
    ('hf-albert', ['--allow-drop', 'mlm.*'], 'AlbertForPreTraining'),
    ('hf-roberta', ['--allow-drop', 'mlm.*'], 'RobertaModel'),
    ('hf-bert-old', [], 'BertForPreTraining'),
    ('hf-bert-token', [], 'BertForTokenClassification'),
    ('hf-bert-sequence', [], 'BertForSequenceClassification'),
    ('hf-bert-qa', [], 'BertForQuestionAnswering'),
    ('hf-bert-nsp', [], 'BertForNextSentencePrediction'),
    ('hf-albert-token', [], 'AlbertForTokenClassification'),
    ('hf-albert-sequence', [], 'AlbertForSequenceClassification'),
    ('hf-albert-qa', [], 'AlbertForQuestionAnswering'),
    ('hf-electra-token', [], 'ElectraForTokenClassification'),
    ('hf-electra-sequence', [], 'ElectraForSequenceClassification'),
    ('hf-electra-qa', [], 'ElectraForQuestionAnswering'),
    ('hf-roformer-sequence', [], 'RoFormerForSequenceClassification'),
    ('hf-roberta-sequence', [], 'RobertaForSequenceClassification'),
    ('hf-distilbert-sequence', [], 'DistilBertForSequenceClassification'),
    ('hf-distilbert-qa', [], 'DistilBertForQuestionAnswering'),
]

# The same for files of the TensorFlow classes, which hold the weights of another fixture.
TENSORFLOW = [
    ('hf-tf-bert', 'hf-bert-tiny', 'BertForPreTraining'), ('hf-tf-albert', 'hf-albert', 'AlbertForPreTraining'),
    ('hf-tf-electra', 'hf-electra-discriminator', 'ElectraForPreTraining'),
    ('hf-tf-distilbert', 'hf-distilbert', 'DistilBertForMaskedLM'),
    ('hf-tf-gpt2', 'hf-gpt2', 'GPT2LMHeadModel'), ('hf-tf-t5', 'hf-t5', 'T5ForConditionalGeneration'),
    ('hf-tf-roberta', 'hf-roberta', 'RobertaForMaskedLM'), ('hf-tf-roformer', 'hf-roformer', 'RoFormerForMaskedLM'),
]

# source, options, class, what is allowed beside rounding: what bert4keras saved
BERT4KERAS = [
    ('b4k-electra', [], 'ElectraForPreTraining', EPSILONS),
    ('b4k-roformer', NO_POOLER, 'RoFormerForMaskedLM', EPSILONS),
    ('b4k-albert-unshared', ['--to-family', 'albert'], 'AlbertForPreTraining', EPSILONS),
    ('b4k-opt-segments0', ['--to-family', 'distilbert'], 'DistilBertModel', 0),
    ('b4k-bert-prefix', [], 'BertModel', 0),
    ('b4k-opt-segments3', [], 'BertModel', 0),
    ('b4k-opt-keep-tokens', ['--set', 'vocab_size=19'], 'BertForMaskedLM', 0),
    ('b4k-gpt2', [], 'GPT2LMHeadModel', 0),
    ('b4k-t5-no-cross-bias', [], 'T5ForConditionalGeneration', 0),
    ('b4k-user-sequence', ['--set', 'head.dense=sequence,softmax'], 'BertForTokenClassification', 0),
    ('b4k-user-pooler', ['--set', 'head.dense=pooler,softmax'], 'BertForSequenceClassification', 0),
]

ERF = ['--set', 'hidden_act=gelu_erf']  # bert4keras wrote these and computed their values
ADAM = ['--allow-drop', '*/adam_?', '--allow-drop', 'global_step']
# folder of fixtures/google, options, class, what is allowed beside rounding: TensorFlow 1 checkpoints
GOOGLE = [
    ('bert', ERF, 'BertForPreTraining', 0),
    ('bert-adam', ADAM, 'BertForPreTraining', 0),
    ('albert', ERF, 'AlbertForPreTraining', EPSILONS),
    ('albert-groups', ADAM, 'AlbertForPreTraining', 0),
    ('roformer', ['--family', 'roformer'], 'RoFormerForMaskedLM', EPSILONS),
    ('electra', [], 'ElectraForPreTraining', EPSILONS),
    ('gpt2', [], 'GPT2LMHeadModel', 0),
]

# source, options, class, what is allowed beside rounding: an ALBERT whose layers are its own is an ELECTRA, up to its heads
AS_ELECTRA = [
    ('b4k-albert', UNTIE + NO_SOP, 'ElectraForMaskedLM', EPSILONS),
    ('b4k-albert', UNTIE + NO_SOP + ['--allow-drop', 'mlm.*'], 'ElectraModel', EPSILONS),
    ('hf-albert', UNTIE + NO_SOP, 'ElectraForMaskedLM', 0),
    ('hf-albert-token', [], 'ElectraForTokenClassification', 0),
    ('hf-albert-qa', [], 'ElectraForQuestionAnswering', 0),
]

# source, options, a word of the hint: what transformers cannot hold must not be written
REFUSED = [
    ('b4k-t5', [], 'cross_position_bias=false'),
    ('b4k-t5.1.1', ['--set', 'cross_position_bias=false'], 'fold-decoder-scale'),
    ('b4k-opt-gated', [], ''),
    ('b4k-opt-residual', [], ''),
    ('b4k-opt-sizes', [], ''),
    ('b4k-opt-hierarchical', [], ''),
    ('b4k-nezha', [], ''),
    ('b4k-roformer-v2', [], ''),
    ('b4k-gau-alpha', [], ''),
    ('b4k-gpt2-ml', [], ''),
]

# source, a word of what is said: what has no place in a class is not lost unless the command is told so
LOST = [
    ('b4k-roformer', "--allow-drop 'pooler.*'"),
    ('b4k-crf', "--allow-drop 'head.conditional_random_field"),
    ('b4k-global-pointer', "--allow-drop 'head.global_pointer"),
]


def check_class(source, fixture, options, expected_class, slack=0):
    folder = place('transformers', 'families', label(source, *options))
    said = convert(FIXTURES / source, folder, '--to', 'huggingface', *options)
    name, model = load(folder, said['missing_keys'])
    require(name == expected_class, 'config.json names %s, expected %s' % (name, expected_class))
    expected = Expected(fixture)
    worst = Worst(slack)
    heads = {'pooler': 'pooler_output', 'predictions': 'mlm_logits'}
    made = [heads[part] for part in heads if any(part in key for key in said['missing_keys'])]  # at random, on loading
    for value, ours in compute(model, expected.inputs).items():
        if value in made:
            continue
        if value == 'discriminator_logits' and ours.ndim == 3:
            ours = ours[..., 0]
        # bert4keras' albert_unshared is a BERT: what its second head says is called nsp there.
        known = value if value in expected else value.replace('sop_', 'nsp_')
        require(known in expected, '%s is not recorded' % value)
        worst.compare(value, ours, expected[known], expected.tolerance(known))
    return '%s, %s' % (name, worst)


def check_refused(source, options, word, code=2):
    folder = place('transformers', 'families', label(source, *options, 'refused'))
    error = ckpt('convert', FIXTURES / source, folder, '--to', 'huggingface', *options, code=code)['error']
    require(not folder.exists(), 'something was written')
    text = error['message'] + str(error.get('hint', ''))
    require(word in text, 'does not speak of %s: %s' % (word, text))
    return error['message'].split(': ')[-1]


def checks():
    for source, options, name in OWN:
        values = source.replace('-old', '-tiny')
        yield ' '.join(['transformers again', source] + options), check_class, source, values, options, name
    for source, fixture, name in TENSORFLOW:
        yield 'transformers from ' + source, check_class, source, fixture, [], name
    for source, options, name, slack in BERT4KERAS:
        yield ' '.join(['transformers', source] + options), check_class, source, source, options, name, slack
    for folder, options, name, slack in GOOGLE:
        source = 'google/%s/bert_model.ckpt' % folder
        yield ' '.join(['transformers from google', folder] + options), check_class, source, 'google/' + folder, options, name, slack
    for source, options, name, slack in AS_ELECTRA:
        options = ['--to-family', 'electra'] + options
        yield ' '.join(['transformers', source] + options), check_class, source, source, options, name, slack
    for source, options, word in REFUSED:
        yield ' '.join(['transformers refused', source] + options), check_refused, source, options, word
    for source, word in LOST:
        yield 'transformers not lost ' + source, check_refused, source, [], word, 64


if __name__ == '__main__':
    run_checks(checks())
