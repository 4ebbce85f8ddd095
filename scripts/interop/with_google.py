"""TensorFlow 1 checkpoints under Google's names: bert4keras loads those that ckpt wrote, by its own mapping of names, and ckpt
reads those of bert4keras and of Google's code."""
import numpy as np

from bert4keras_models import build, compare, keras, load, tf
from bert4keras.backend import set_gelu
from common import EPSILONS, FIXTURES, Expected, convert, label, place, require, run_checks

# The values are bert4keras', whose gelu is the one of erf, whose T5 has positions in its cross-attention and scales its decoder's
# states; the names alone mean what Google's code computes.
ERF = ['--set', 'hidden_act=gelu_erf']
T5 = ['--set', 'cross_position_bias=true', '--set', 'scale_decoder_outputs=true']
GATED = T5 + ['--set', 'hidden_act=gelu_erf,linear']
# Folders of fixtures/google with what bert4keras itself wrote: the family where names leave it open, how it is meant.
FAMILIES = {
    'bert': ([], ERF), 'albert': ([], ERF), 'nezha': (['--family', 'nezha'], ERF), 'roformer': (['--family', 'roformer'], []),
    'roformer_v2': ([], []), 'electra': ([], []), 'gpt': ([], []), 'gpt2': ([], []), 'gpt2_ml': ([], ERF), 't5': ([], T5),
    't5.1.1': ([], GATED), 'mt5.1.1': (['--family', 'mt5'], GATED),
}
ONLY_NAMES = {'mt5.1.1': 't5.1.1', 't5-slots': 't5'}  # their weights, inputs and values are another folder's

# source, options, what is allowed beside rounding: other origins under Google's names
OTHERS = [
    ('hf-bert', [], 0),
    ('b4k-albert', [], 0),
    ('hf-electra-discriminator', [], EPSILONS),
    ('hf-gpt2', [], 0),
    ('hf-t5', [], 0),
]

# folder, options: what Google's code saves, with its optimizers' slots
ADAM = ['--allow-drop', '*/adam_?', '--allow-drop', 'global_step']
FOREIGN = [
    ('bert-adam', ADAM),
    ('albert-groups', ['--apply', 'untie'] + ADAM),
    ('nezha-huawei', ADAM),
    ('t5-slots', T5 + ['--allow-drop', '*_slot_*', '--allow-drop', 'global_step']),
]


def prefix_of(folder):
    return folder / next(folder.glob('*.index')).stem


def variables(folder):
    reader = tf.train.load_checkpoint(str(prefix_of(folder)))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def load_checkpoint(said, folder):
    """bert4keras' model with what its own mapping finds in the checkpoint; a name that is missing is an error there."""
    set_gelu('tanh' if any("set_gelu('tanh')" in note for note in said['notes']) else 'erf')
    return build(said, next(folder.glob('*config.json')), checkpoint_path=str(prefix_of(folder)))


def check_written(family):
    """bert4keras' h5 as Google's checkpoint: variable by variable what bert4keras itself writes, which it loads."""
    keras.backend.clear_session()
    folder, source = place('google', family), FIXTURES / 'google' / family
    weights = FIXTURES / 'google' / ONLY_NAMES.get(family, family) / 'weights.h5'
    said = convert(weights, folder, '--to', 'google', *FAMILIES[family][0])
    ours, theirs = variables(folder), variables(source)
    require(set(ours) == set(theirs), 'other names: %s' % sorted(set(ours) ^ set(theirs)))
    for name, value in theirs.items():
        require(np.array_equal(ours[name], value), name + ' differs')
    kind, model = load_checkpoint(said, folder)
    return '%s, %d variables, %s' % (kind, len(ours), compare(model, Expected('google/' + ONLY_NAMES.get(family, family))))


def check_other(source, options, slack):
    keras.backend.clear_session()
    folder = place('google', label(source, *options))
    kind, model = load_checkpoint(convert(FIXTURES / source, folder, '--to', 'google', *options), folder)
    return '%s, %s' % (kind, compare(model, Expected(source), slack))


def check_read(name, options):
    """A checkpoint as bert4keras' h5."""
    keras.backend.clear_session()
    set_gelu('erf')
    target = place('google', label(name, 'read') + '.h5')
    kind, model = load(convert(FIXTURES / 'google' / name / 'bert_model.ckpt', target, '--to', 'bert4keras', *options), target)
    return '%s, %s' % (kind, compare(model, Expected('google/' + ONLY_NAMES.get(name, name))))


def checks():
    for family in FAMILIES:
        yield 'google written ' + family, check_written, family
    for source, options, slack in OTHERS:
        yield ' '.join(['google written', source] + options), check_other, source, options, slack
    for name, options in [(name, family + meant) for name, (family, meant) in FAMILIES.items()] + FOREIGN:
        yield ' '.join(['google read', name] + options), check_read, name, options


if __name__ == '__main__':
    run_checks(checks())
