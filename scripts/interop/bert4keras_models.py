"""What the checks with bert4keras share: building the model that ckpt describes, loading it, and computing under our names."""
import ast
import sys

import numpy as np

from common import FIXTURES, ROOT, Worst, padding_mask, require, softmax

sys.path[1:1] = [str(ROOT / 'scripts' / 'python'), str(FIXTURES)]
import b4k_env  # noqa: F401  (before bert4keras)
import keras
import tensorflow as tf  # noqa: F401  (after b4k_env)
from bert4keras.models import build_transformer_model
from bert4keras_gau_alpha import GAU_alpha

# The last layer of the states, by how its name ends; of several, the last that the model has.
LAST = ('Decoder-Output-Norm', 'Output-Norm', 'FeedForward-Norm-1', 'FeedForward-Norm', 'GatedAttentionUnit-Norm')
OUTPUTS = {
    'Encoder-Output-Norm': 'encoder_last_hidden_state', 'Pooler-Dense': 'pooler_output', 'NSP-Proba': 'nsp_probs',
    'MLM-Bias': 'mlm_logits', 'Output-MLM-Activation': 'mlm_probs', 'LM-Activation': 'lm_probs', 'Decoder-Output-LM': 'lm_probs',
    'Decoder-Output-LM-Activation': 'lm_probs', 'Discriminator-Prediction': 'discriminator_probs',
}


def build(said, config, **arguments):
    """The model that the command's own `loads_as` describes, and its kind."""
    calls = [node for node in ast.walk(ast.parse(said['loads_as'])) if isinstance(node, ast.Call)]
    told = {keyword.arg: keyword.value for node in calls for keyword in node.keywords}
    model = told.pop('model')
    told = {name: ast.literal_eval(value) for name, value in told.items()}
    kind = model.id if isinstance(model, ast.Name) else model.value  # a class of a user's, or a name
    model = GAU_alpha if kind == 'GAU_alpha' else kind
    return kind, build_transformer_model(str(config), model=model, **dict(told, **arguments))


def load(said, target, **arguments):
    """Builds and loads in topological order, which is Keras' own check of order and shapes."""
    kind, model = build(said, target.with_suffix('.config.json'), **arguments)
    model.load_weights(str(target))
    return kind, model


def call(model, inputs):
    """A model's outputs, always as a list; without tracing, which takes longer than these models."""
    fed = [keras.backend.constant(next(inputs[end] for end in inputs if name.endswith(end))) for name in model.input_names]
    outputs = model(fed, training=False)
    return [output.numpy() for output in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]


def output_of(layer):
    """Of its last use: a shared block has several, T5's decoder one before it was joined to its encoder."""
    return layer.get_output_at(len(layer.inbound_nodes) - 1)


def compute(model, inputs):
    """Every output under our names."""
    token = next(layer.name for layer in model.layers if layer.name.endswith('Embedding-Token'))
    prefix = token[:-len('Embedding-Token')]
    layers = {layer.name[len(prefix):]: layer for layer in model.layers}
    for end in LAST:
        last = [layer for layer in model.layers if layer.name.endswith(end)]
        if last:
            break
    tensors = {'last_hidden_state': output_of(last[-1])}
    for name, value in OUTPUTS.items():
        if name in layers:
            tensors[value] = output_of(layers[name])
    if 'Encoder-Output-Norm' in layers and 'Decoder-Output-Norm' not in layers:
        del tensors['last_hidden_state']
    values = dict(zip(tensors, call(keras.Model(model.inputs, list(tensors.values()) + model.outputs[:1]), inputs)))
    if 'discriminator_probs' in values:
        values['discriminator_probs'] = values['discriminator_probs'][..., 0]
    return values


# Inputs


def comparable(inputs):
    """Inputs under bert4keras' names, the rows to compare, and the positions of the tokens and of the decoder's.

    Only rows where bert4keras' rule of padding gives the source's mask: transformers may have padding with other ids, which
    become 0 here; rows where a 0 is a token are left out.
    """
    if 'input_ids' not in inputs:
        tokens = next(array for name, array in inputs.items() if name.endswith('Token'))
        return inputs, np.ones(len(tokens), bool), None, None
    fed, rows, kept, both = {}, True, {}, 'decoder_input_ids' in inputs
    for side, name in (('', 'Encoder-Input-Token' if both else 'Input-Token'), ('decoder_', 'Decoder-Input-Token')):
        if side + 'input_ids' in inputs:
            kept[side] = inputs[side + 'attention_mask'] == 1
            fed[name] = np.where(kept[side], inputs[side + 'input_ids'], 0)
            rows = rows & (padding_mask(fed[name]) == kept[side]).all(1)
    require(rows.sum() >= 2, 'too few rows mean the same to both libraries')
    fed['Input-Segment'] = inputs.get('token_type_ids', np.zeros_like(inputs['input_ids']))
    fed = {name: array[rows] for name, array in fed.items()}
    return fed, rows, kept[''][rows], kept.get('decoder_', kept[''])[rows]


def compare(model, expected, slack=0):
    """Computes, and compares with the fixture's values; probabilities with those of its logits."""
    inputs, rows, kept, decoder_kept = comparable(expected.inputs)
    worst = Worst(slack)
    for name, ours in compute(model, inputs).items():
        logits = name.replace('_probs', '_logits')
        if logits not in expected:  # of further inputs, the fixtures keep some values
            continue
        theirs, tolerance = expected[logits][rows], expected.tolerance(logits)
        if name != logits:
            theirs = 1 / (1 + np.exp(-theirs)) if name.startswith('discriminator') else softmax(theirs)
        places = kept if name.startswith('encoder') else decoder_kept
        if places is not None and ours.shape[:2] == places.shape:
            ours, theirs = ours[places], theirs[places]
        worst.compare(name, ours, theirs, tolerance)
    return worst
