"""bert4keras loads what ckpt's transforms made, with the sizes that its config.json states, and computes the source's numbers."""
from bert4keras_models import compare, keras, load
from common import EPSILONS, FIXTURES, Expected, convert, label, load_json, place, require, run_checks

UNTIE = 'untie'

# fixture, steps, what config.json must say, mask, what is allowed beside rounding
CASES = [
    ('b4k-bert', ['widen-key-size=20'], {'attention_key_size': 20}, 'bidirectional', 0),
    ('b4k-bert', ['widen-key-size=64:fresh=zeros'], {'attention_key_size': 64}, 'bidirectional', 0),
    ('b4k-bert', ['widen-key-size=20', 'narrow-key-size=16'], {}, 'bidirectional', 0),
    ('b4k-albert', ['widen-key-size=12'], {'attention_key_size': 12}, 'bidirectional', 0),
    ('b4k-albert', [UNTIE, 'widen-key-size=12'], {'attention_key_size': 12}, 'bidirectional', EPSILONS),
    ('b4k-roformer', ['widen-key-size=20'], {'attention_key_size': 20}, 'bidirectional', 0),
    ('b4k-roformer-v2', ['widen-key-size=30'], {'attention_key_size': 30}, 'bidirectional', 0),
    ('b4k-gau-alpha', ['widen-key-size=24'], {'attention_key_size': 24}, 'long', 0),
    ('b4k-gpt2', ['widen-key-size=12'], {'attention_key_size': 12}, 'bidirectional', 0),
    ('b4k-t5', ['widen-key-size=12'], {'attention_key_size': 12}, 'bidirectional', 0),
    ('b4k-t5.1.1', ['widen-key-size=12'], {'attention_key_size': 12}, 'bidirectional', 0),
    ('b4k-opt-sizes', ['widen-key-size=7'], {'attention_key_size': 7, 'attention_head_size': 5}, 'bidirectional', 0),
    ('b4k-opt-residual', ['widen-key-size=7'], {'attention_key_size': 7}, 'bidirectional', 0),
    ('hf-bert', ['widen-key-size=15'], {'attention_key_size': 15}, 'bidirectional', 0),
    ('hf-gpt2', ['widen-key-size=12'], {'attention_key_size': 12}, 'bidirectional', 0),
]


def check(fixture, steps, stated, mask, slack):
    keras.backend.clear_session()
    target = place('bert4keras', 'transforms', label(fixture, *steps) + '.h5')
    said = convert(FIXTURES / fixture, target, '--to', 'bert4keras', *[word for step in steps for word in ('--apply', step)])
    config = load_json(target.with_suffix('.config.json'))
    for key, value in stated.items():
        require(config.get(key) == value, 'config.json has %s = %s, not %s' % (key, config.get(key), value))
    kind, model = load(said, target)
    return '%s, %s' % (kind, compare(model, Expected(fixture, mask), slack))


def checks():
    for fixture, steps, stated, mask, slack in CASES:
        yield ' '.join(['bert4keras transforms key size', fixture] + steps), check, fixture, steps, stated, mask, slack


if __name__ == '__main__':
    run_checks(checks())
