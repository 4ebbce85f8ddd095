"""What the checks with transformers share: loading a folder with every key in its place, and computing under our names."""
import os

os.environ['HF_HUB_OFFLINE'] = '1'

import numpy as np
import torch
import transformers

from common import load_json, padding_mask, require

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)

# What a model returns, by our names.
OUTPUTS = {
    'last_hidden_state': 'last_hidden_state', 'encoder_last_hidden_state': 'encoder_last_hidden_state',
    'pooler_output': 'pooler_output',
    'prediction_logits': 'mlm_logits', 'seq_relationship_logits': 'nsp_logits', 'sop_logits': 'sop_logits',
    'start_logits': 'start_logits', 'end_logits': 'end_logits',
}
# What `logits` are, by how the class's name ends; otherwise a task's.
LOGITS = {
    'NextSentencePrediction': 'nsp_logits', 'ElectraForPreTraining': 'discriminator_logits', 'ForMaskedLM': 'mlm_logits',
    'BertLMHeadModel': 'mlm_logits', 'ForCausalLM': 'mlm_logits', 'LMHeadModel': 'lm_logits',
    'ConditionalGeneration': 'lm_logits',
}
# bert4keras' names of inputs: the token ids also give the mask.
TOKENS = {'Input-Token': '', 'Encoder-Input-Token': '', 'Decoder-Input-Token': 'decoder_'}


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
    fed = {}
    for name, array in inputs.items():
        if name in TOKENS:
            fed[TOKENS[name] + 'input_ids'], fed[TOKENS[name] + 'attention_mask'] = array, padding_mask(array)
        else:
            fed['token_type_ids' if name == 'Input-Segment' else name] = array
    return {name: torch.from_numpy(np.asarray(array, 'int64')) for name, array in fed.items()}


def compute(model, inputs):
    """Every output of a model under our names; hidden states also from a class with heads."""
    with torch.no_grad():
        outputs = model(**feed(inputs), output_hidden_states=True, return_dict=True)
    values = {ours: outputs[theirs].numpy() for theirs, ours in OUTPUTS.items() if outputs.get(theirs) is not None}
    name = type(model).__name__
    if 'logits' in outputs:
        values[next((ours for end, ours in LOGITS.items() if name.endswith(end)), 'logits')] = outputs['logits'].numpy()
    states = outputs['decoder_hidden_states' if 'decoder_hidden_states' in outputs else 'hidden_states']
    values.setdefault('last_hidden_state', states[-1].numpy())
    if name == 'T5EncoderModel':
        values['encoder_last_hidden_state'] = values.pop('last_hidden_state')
    return values
