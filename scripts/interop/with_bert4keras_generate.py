"""bert4keras' AutoRegressiveDecoder generates and draws with small random models what ckpt does: beams, min_ends, minlen, distributions.

Weights are scaled so that distributions are neither flat nor sharp. Where a decision of ckpt's was closer than TIE, another order of
additions may decide otherwise, and the text is not compared; that must be few.
"""
import collections
import json
import math

import numpy as np

from bert4keras_models import build_transformer_model, tf
from common import WORK, ckpt, require, run_checks
from draws import chi_square, far

from bert4keras.snippets import AutoRegressiveDecoder

TIE = 2e-5
SIZE = 40
PAD, UNK, CLS, SEP, MASK = range(5)
WORDS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'] + ['w%d' % index for index in range(5, SIZE)]
NEW = 12
KINDS = {'unilm': ('bert', dict(application='unilm', with_mlm=True)), 'lm': ('bert', dict(application='lm', with_mlm=True)),
         'albert': ('albert', dict(application='unilm', with_mlm=True)),
         'roformer': ('roformer', dict(application='unilm', with_mlm=True)), 'gpt2_ml': ('gpt2_ml', {}), 't5': ('t5.1.1', {})}


class Generator(AutoRegressiveDecoder):
    """As the library's examples predict: the whole row anew at each step."""

    @AutoRegressiveDecoder.wraps(default_rtype='probas')
    def predict(self, inputs, output_ids, states):
        if self.kind == 't5':
            given = {'Encoder-Input-Token': inputs[0], 'Decoder-Input-Token': output_ids}
        else:
            tokens = np.concatenate([inputs[0], output_ids], 1)
            segment = 1 if self.kind in ('unilm', 'albert', 'roformer') else 0
            segments = np.concatenate([np.zeros_like(inputs[0]), np.full_like(output_ids, segment)], 1)
            given = {'Input-Token': tokens, 'Input-Segment': segments}
        return self.compute(*[tf.constant(given[name], tf.float32) for name in self.model.input_names]).numpy()[:, -1]


def build(kind, seed):
    """The model's decoder and its file; it ends with a token that it likes to draw, so that answers end."""
    name, arguments = KINDS[kind]
    random = np.random.default_rng(seed)
    target = WORK / 'generate' / ('b4k-%s-%d' % (kind, seed))
    target.mkdir(parents=True, exist_ok=True)
    heads = int(random.integers(1, 4))
    width = 8 * heads
    config = {'vocab_size': SIZE, 'hidden_size': width, 'num_attention_heads': heads, 'num_hidden_layers': int(random.integers(1, 4)),
              'intermediate_size': 2 * width, 'hidden_act': 'gelu', 'hidden_dropout_prob': 0.0, 'attention_probs_dropout_prob': 0.0,
              'max_position_embeddings': 40, 'type_vocab_size': 2, 'initializer_range': 0.02}
    if kind == 't5':
        config = {'vocab_size': SIZE, 'hidden_size': width, 'num_attention_heads': heads, 'attention_head_size': 8, 'num_hidden_layers': 2,
                  'intermediate_size': 2 * width, 'hidden_act': ['gelu', 'linear'], 'hidden_dropout_prob': 0.0,
                  'attention_probs_dropout_prob': 0.0, 'initializer_range': 0.02}
    (target / 'config.json').write_text(json.dumps(config))
    (target / 'vocab.txt').write_text('\n'.join(WORDS) + '\n')
    model = build_transformer_model(str(target / 'config.json'), model=name, **arguments)
    model.set_weights([random.normal(0, 1.1 / math.sqrt(min(w.shape)), w.shape) if w.ndim == 2 and 'position' not in v.name else w
                       for v, w in zip(model.weights, model.get_weights())])
    model.save_weights(str(target / 'weights.h5'))

    # Traced once for all lengths, or each length would take seconds.
    shape = [tf.TensorSpec([None, None], tf.float32)] * len(model.inputs)
    compute = tf.function(lambda *given: model(list(given), training=False), input_signature=shape)

    def decoder(**arguments):
        made = Generator(start_id=0 if kind == 't5' else None, maxlen=NEW, **arguments)
        made.kind, made.model, made.compute = kind, model, compute
        return made

    np.random.seed(seed)
    drawn = collections.Counter()
    for row in texts(seed):
        for ids in decoder(end_id=-1).random_sample(inputs(kind, row), 2):
            drawn.update(ids[-NEW + 2:].tolist())
    del drawn[PAD]
    return decoder, target, drawn.most_common(3)[-1][0]


def texts(seed, count=4):
    random = np.random.default_rng(1000 + seed)
    return [[int(x) for x in random.integers(5, SIZE, random.integers(1, 9))] for _ in range(count)]


def inputs(kind, row):
    return [{'unilm': [CLS] + row + [SEP], 'albert': [CLS] + row + [SEP], 'roformer': [CLS] + row + [SEP], 't5': [CLS] + row + [SEP], 'lm': [CLS] + row, 'gpt2_ml': row}[kind]]


def run(target, kind, rows, *options):
    more = ['--mask', 'causal'] if kind == 'lm' else []
    said = ckpt('run', target, '--task', 'generate', '--quiet', '--max-new-tokens', NEW, *more, *options, *[' '.join(WORDS[i] for i in row) for row in rows])
    return [row['answers'] for row in said['results']]


def check_beams(kind, seed):
    decoder, target, end = build(kind, seed)
    random = np.random.default_rng(2000 + seed)
    begin = 1 if kind == 't5' else 0
    rows, compared, close, padded, ended = texts(seed, 3), 0, 0, 0, 0
    for topk, minlen, min_ends, temperature in [(1, 1, 1, 1), (int(random.integers(2, 7)), 1, 1, 1), (3, 6, 1, 1), (4, 1, 2, 1), (3, 4, 2, 1.5)]:
        made = decoder(end_id=end, minlen=minlen)
        answers = run(target, kind, rows, '--end-token', end, '--beams', topk, '--min-length', minlen, '--min-ends', min_ends, '--temperature', temperature)
        for row, mine in zip(rows, answers):
            require(len(mine) == 1, '%d answers' % len(mine))
            if mine[0]['margin'] is not None and mine[0]['margin'] < TIE:
                close += 1
                continue
            ids = made.beam_search(inputs(kind, row), topk, temperature=temperature, min_ends=min_ends).tolist()
            if PAD in ids[begin:-1] + mine[0]['ids'][:-1]:
                padded += 1  # the library hides a [PAD] that was written from attention; here it is a token
                continue
            require(mine[0]['ids'] == ids[begin:], 'topk %d minlen %d min_ends %d: %s, not %s' % (topk, minlen, min_ends, mine[0]['ids'], ids))
            # The library does not tell the score: it is added up along the answer.
            score = 0.0
            for place in range(begin, len(ids)):
                output = np.array([ids[:place]], dtype=int).reshape(1, place)
                score += made.predict([np.array([x]) for x in inputs(kind, row)], output, None, temperature, 'logits')[0][0, ids[place]]
            require(abs(score - mine[0]['score']) < 1e-4 * max(1, abs(score)), 'score %s, not %s' % (mine[0]['score'], score))
            compared += 1
            ended += mine[0]['finished']
    require(compared >= 4 * close and compared > padded, '%d compared, %d too close, %d with [PAD]' % (compared, close, padded))
    return '%d answers, %d of them ended, %d too close to compare, %d with [PAD]' % (compared, ended, close, padded)


def distribution(made, row, ids, **settings):
    """What random_sample draws next after `ids`: each choice that it could make, with the probability that it gives it."""
    made.first_output_ids, found, choice = np.array([ids], dtype=int).reshape(1, len(ids)), {}, [0]
    seen = []

    def chosen(count, p):
        seen[:] = p
        return choice[0]

    library = np.random.choice
    np.random.choice, made.maxlen = chosen, 1
    try:
        while True:
            token = int(made.random_sample(inputs(made.kind, row), 1, **settings)[0][-1])
            if seen[choice[0]] > 0:
                found[token] = float(seen[choice[0]])
            choice[0] += 1
            if choice[0] == len(seen):
                break
    finally:
        np.random.choice, made.maxlen = library, NEW
    require(abs(sum(found.values()) - 1) < 1e-5, 'sums up to %s' % sum(found.values()))
    return found


def check_samples(kind, seed, options, settings):
    decoder, target, end = build(kind, seed)
    row, draws = texts(seed, 1)[0], 20000
    made = decoder(end_id=end)
    answers = run(target, kind, [row], '--end-token', end, '--max-new-tokens', 2, '--samples', draws, '--seed', seed, *options)[0]
    require(len(answers) == draws, '%d draws' % len(answers))
    begin = [0] if kind == 't5' else []
    first = distribution(made, row, begin, **settings)
    token = max((token for token in first if token not in (end, PAD)), key=first.get)  # the library hides a [PAD] from attention
    reports = []
    for name, counts, wanted in [
            ('first', collections.Counter(answer['ids'][0] for answer in answers), first),
            ('after the likeliest', collections.Counter(answer['ids'][1] for answer in answers if answer['ids'][0] == token),
             distribution(made, row, begin + [token], **settings))]:
        statistic, freedom = chi_square(counts, wanted)
        require(statistic <= far(freedom), '%s: χ² %.1f of %d' % (name, statistic, freedom))
        reports.append('%s χ² %.1f of %d' % (name, statistic, freedom))
    return ', '.join(reports)


SAMPLES = [
    ('unilm', [], {}), ('unilm', ['--temperature', 0.8, '--top-k', 5], dict(temperature=0.8, topk=5)), ('gpt2_ml', ['--top-p', 0.8], dict(topp=0.8)),
    ('t5', ['--temperature', 1.5, '--top-k', 12, '--top-p', 0.7], dict(temperature=1.5, topk=12, topp=0.7)),
]

if __name__ == '__main__':
    run_checks(
        [('generate %s %d' % (kind, seed), check_beams, kind, seed) for seed, kind in [*enumerate(['unilm'] * 3 + ['lm'] * 2 + ['roformer'] * 2 + ['gpt2_ml'] * 2 + ['t5'] * 2), (300, 'albert')]]
        + [('samples %s %s' % (kind, ' '.join(map(str, options))), check_samples, kind, 50 + place, options, settings)
           for place, (kind, options, settings) in enumerate(SAMPLES)])
