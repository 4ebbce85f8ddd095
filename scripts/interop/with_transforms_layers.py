"""transformers computes with what ckpt made of a model's layers: wider feed-forwards, shared layers, fewer layers."""
import torch
import transformers

from common import EPSILONS, FIXTURES, Expected, Worst, convert, label, load_json, place, require, run_checks
from transformers_models import compute, load

# source, options, class, what is allowed beside rounding: the function stays what the fixture's library computed
WIDENED = [
    ('hf-bert', [], 'BertForPreTraining', 0),
    ('b4k-bert', [], 'BertForPreTraining', 0),
    ('hf-albert-groups', [], 'AlbertForPreTraining', 0),
    ('b4k-albert', [], 'AlbertForPreTraining', EPSILONS),
    ('hf-roformer', [], 'RoFormerForMaskedLM', 0),
    ('hf-roberta', [], 'RobertaForMaskedLM', 0),
    ('hf-distilbert', [], 'DistilBertForMaskedLM', 0),
    ('hf-electra-discriminator', [], 'ElectraForPreTraining', 0),
    ('hf-gpt2', [], 'GPT2LMHeadModel', 0),
    ('hf-t5', [], 'T5ForConditionalGeneration', 0),
    ('hf-t5-gated', [], 'T5ForConditionalGeneration', 0),
    ('hf-mt5', [], 'MT5ForConditionalGeneration', 0),
    ('hf-t5-encoder', [], 'T5EncoderModel', 0),
]
WIDTH = 101

# source, options, groups, inner groups: of layers that have their own weights as an ALBERT
TIED = [
    ('hf-bert', ['--to-family', 'albert'], 1, 1),
    ('b4k-bert', ['--to-family', 'albert'], 1, 1),
    ('b4k-bert', ['--to-family', 'albert'], 2, 1),
    ('hf-albert-groups', ['--apply', 'untie'], 2, 1),
    ('hf-albert-groups', ['--apply', 'untie'], 3, 1),
    ('hf-albert-groups', ['--apply', 'untie'], 1, 2),
]

# source, what ckpt is told, where the layers are and which of them go
DROPPED = [
    ('b4k-bert', '1', {'bert.encoder.layer': [1]}),
    ('b4k-bert', '0,2', {'bert.encoder.layer': [0, 2]}),
    ('hf-gpt2', '0', {'transformer.h': [0]}),
    ('hf-roformer', '0', {'roformer.encoder.layer': [0]}),
    ('hf-electra-discriminator', '1', {'electra.encoder.layer': [1]}),
    ('hf-t5', 'encoder.1,decoder.0', {'encoder.block': [1], 'decoder.block': [0]}),
    ('hf-albert', '2', {}),
]


def check_widened(source, options, expected_class, slack):
    folder = place('layers', label('wide', source, *options))
    said = convert(FIXTURES / source, folder, '--to', 'huggingface', '--apply', 'widen-ffn=%d' % WIDTH, *options)
    name, model = load(folder, said['missing_keys'])
    require(name == expected_class, 'config.json names %s, expected %s' % (name, expected_class))
    configuration = load_json(folder / 'config.json')
    widths = [configuration[key] for key in ('intermediate_size', 'd_ff', 'n_inner', 'hidden_dim') if key in configuration]
    require(widths == [WIDTH], 'config.json says %s' % widths)
    expected = Expected(source)
    worst = Worst(slack)
    for value, ours in compute(model, expected.inputs).items():
        if value == 'discriminator_logits' and ours.ndim == 3:
            ours = ours[..., 0]
        if value in expected:
            worst.compare(value, ours, expected[value], expected.tolerance(value))
    return '%s, %s' % (name, worst)


def check_tied(source, options, groups, inner):
    """The weights of transformers' own modules, averaged here in float64, against the folder that ckpt wrote."""
    own, folder = (place('layers', label(kind, source, groups, inner, *options)) for kind in ('own', 'tied'))
    convert(FIXTURES / source, own, '--to', 'huggingface', *options)
    untie = [option for option in options if option in ('--apply', 'untie')]
    said = convert(FIXTURES / source, folder, '--to', 'huggingface', *untie, '--apply', 'tie=%d:inner=%d' % (groups, inner))
    _, before = load(own)
    _, after = load(folder, said['missing_keys'])
    rounds = before.config.num_hidden_layers // inner
    require(after.config.num_hidden_layers == rounds and after.config.num_hidden_groups == groups, 'config.json has other numbers')
    layers = [group.albert_layers[0].state_dict() for group in before.albert.encoder.albert_layer_groups]
    require(len(layers) == rounds * inner, '%d layers have own weights' % len(layers))
    for number, group in enumerate(after.albert.encoder.albert_layer_groups):
        for turn, layer in enumerate(group.albert_layers):
            members = [layers[r * inner + turn] for r in range(rounds) if int(r / (rounds / groups)) == number]
            for key, tensor in layer.state_dict().items():
                mean = torch.stack([member[key].double() for member in members]).mean(0).float()
                require(torch.equal(mean, tensor), 'group %d, layer %d: %s is no mean' % (number, turn, key))
    state = after.state_dict()
    others = [key for key in before.state_dict() if 'albert_layers' not in key]
    require(all(torch.equal(before.state_dict()[key], state[key]) for key in others), 'weights outside the layers differ')
    # The function, too: each layer of its own with the weights that it shares now.
    for depth, group in enumerate(before.albert.encoder.albert_layer_groups):
        number, turn = int(depth // inner / (rounds / groups)), depth % inner
        group.albert_layers[0].load_state_dict(after.albert.encoder.albert_layer_groups[number].albert_layers[turn].state_dict())
    inputs = Expected(source).inputs
    theirs, worst = compute(before, inputs), Worst()
    for value, found in compute(after, inputs).items():
        worst.compare(value, found, theirs[value], 1e-6)
    return '%d groups of %d, %s' % (groups, inner, worst)


def check_dropped(source, layers, places):
    own, folder = (place('layers', label(kind, source, layers)) for kind in ('whole', 'dropped'))
    _, model = load(own, convert(FIXTURES / source, own, '--to', 'huggingface')['missing_keys'])
    _, ours = load(folder, convert(FIXTURES / source, folder, '--to', 'huggingface', '--apply', 'drop-layers=' + layers)['missing_keys'])
    for path, gone in places.items():
        parent, _, name = path.rpartition('.')
        blocks = model.get_submodule(path)
        kept = torch.nn.ModuleList(block for number, block in enumerate(blocks) if number not in gone)
        if hasattr(blocks[0], 'layer') and 0 in gone and hasattr(blocks[0].layer[0], 'SelfAttention'):
            # T5's first block has the table of distances for all of them.
            first, new = blocks[0].layer[0].SelfAttention, kept[0].layer[0].SelfAttention
            new.relative_attention_bias, new.has_relative_attention_bias = first.relative_attention_bias, True
        setattr(model.get_submodule(parent), name, kept)
    if not places:  # shared layers
        model.config.num_hidden_layers -= 1
    for each in (model, ours):
        each.config.use_cache = False
    inputs = Expected(source).inputs
    theirs, worst = compute(model, inputs), Worst()
    for value, found in compute(ours, inputs).items():
        worst.compare(value, found, theirs[value], 1e-6)
    return str(worst)


def checks():
    for source, options, name, slack in WIDENED:
        yield ' '.join(['transformers widened', source] + options), check_widened, source, options, name, slack
    for source, options, groups, inner in TIED:
        yield 'transformers tied %s %d:%d' % (source, groups, inner), check_tied, source, options, groups, inner
    for source, layers, places in DROPPED:
        yield 'transformers dropped %s %s' % (source, layers), check_dropped, source, layers, places


if __name__ == '__main__':
    run_checks(checks())
