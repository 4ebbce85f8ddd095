"""Sequence labelling: what `run --task tag` and `spans` say is what bert4keras' own layers and decoders say, on random models and texts."""
import json
import subprocess

import numpy as np

from bert4keras_models import build_transformer_model, keras, tf
from bert4keras.backend import K
from bert4keras.layers import ConditionalRandomField, EfficientGlobalPointer, GlobalPointer, MaximumEntropyMarkovModel
from bert4keras.snippets import ViterbiDecoder, to_array
from bert4keras.tokenizers import Tokenizer
from common import CKPT, place, require, run_checks

tf.get_logger().setLevel('ERROR')  # what Keras says about models that are not compiled
MODELS, TEXTS = 20, 5
LABELS = 7
HEADS = 3
CONFIG = {
    'attention_probs_dropout_prob': 0.0, 'hidden_act': 'gelu', 'hidden_dropout_prob': 0.0, 'hidden_size': 16, 'initializer_range': 0.4,
    'intermediate_size': 24, 'max_position_embeddings': 40, 'num_attention_heads': 2, 'num_hidden_layers': 1, 'type_vocab_size': 2,
}
CHARACTERS = '我们今天明去看天气很好的一个人在中国大学里学习语言模型是不了'


def dense(x):
    return keras.layers.Dense(LABELS)(x)


TOPS = {
    'CRF': lambda x, m: ConditionalRandomField(lr_multiplier=m)(dense(x)),
    'MEMM': lambda x, m: MaximumEntropyMarkovModel(lr_multiplier=m)(dense(x)),
    'MEMM of low rank': lambda x, m: MaximumEntropyMarkovModel(lr_multiplier=m, hidden_dim=2)(dense(x)),
    'GlobalPointer': lambda x, m: GlobalPointer(heads=HEADS, head_size=8)(x),
    'GlobalPointer, neither rotary nor triangular': lambda x, m: GlobalPointer(heads=HEADS, head_size=8, RoPE=False, tril_mask=False)(x),
    'EfficientGlobalPointer': lambda x, m: EfficientGlobalPointer(heads=HEADS, head_size=8)(x),
}


def start(name, multiplier):
    """A model with a vocabulary, in a folder of its own."""
    folder = place('labelling', ''.join(c if c.isalpha() else '-' for c in name), 'config.json').parent
    tokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'] + list(CHARACTERS)
    (folder / 'vocab.txt').write_text('\n'.join(tokens) + '\n', 'utf-8')
    (folder / 'config.json').write_text(json.dumps(dict(CONFIG, vocab_size=len(tokens))))
    base = build_transformer_model(str(folder / 'config.json'))
    model = keras.models.Model(base.inputs, TOPS[name](base.output, multiplier))
    return folder, model, Tokenizer(str(folder / 'vocab.txt'), do_lower_case=True)


def texts(random):
    return [''.join(random.choice(list(CHARACTERS), random.randint(1, 30))) for _ in range(TEXTS)]


def randomize(model, random, multiplier):
    values = []
    for weight, value in zip(model.weights, model.get_weights()):
        scale = 2.0 / multiplier if 'trans' in weight.name else 0.4
        value = random.normal(size=value.shape) * scale + (1 if 'gamma' in weight.name else 0)
        values.append(value.astype('float32'))
    model.set_weights(values)


def run(folder, sentences, *options):
    command = [CKPT, 'run', str(folder / 'model.h5'), '--json'] + list(options)
    result = subprocess.run(command, input='\n'.join(sentences), capture_output=True, text=True, timeout=300)
    require(result.returncode == 0, 'ended with %d: %s' % (result.returncode, result.stderr.strip()))
    return json.loads(result.stdout)['results']


def nodes(model, tokenizer, text):
    ids, segments = tokenizer.encode(text)
    return model([tf.constant(array) for array in to_array([ids], [segments])], training=False).numpy()[0]  # faster than predict


def used(layer):
    if hasattr(layer, 'l_trans'):
        return K.eval(layer.l_trans) @ K.eval(layer.r_trans).T
    return K.eval(layer.trans)


def check_paths(name):
    random = np.random.RandomState(len(name))
    multiplier = 50
    folder, model, tokenizer = start(name, multiplier)
    least, count = np.inf, 0
    limits = [([0], [0], []), (None, None, ['--starts', 'any', '--ends', 'any']), ([1, 2, 4], [0, 6], ['--starts', '1,2,4', '--ends', '0,6'])]
    for turn in range(MODELS):
        randomize(model, random, multiplier)
        model.save(str(folder / 'model.h5'))
        trans, sentences = used(model.layers[-1]), texts(random)
        starts, ends, options = limits[turn % len(limits)]
        answers = run(folder, sentences, '--task', 'tag', *options)
        for text, answer in zip(sentences, answers):
            scores = nodes(model, tokenizer, text)
            expected = ViterbiDecoder(trans, starts, ends).decode(scores.copy())
            mine = [int(token['label'].split('_')[1]) for token in answer['tokens']]
            require(mine == list(expected), '%s: %s, expected %s' % (text, mine, list(expected)))
            score = sum(scores[i, y] for i, y in enumerate(expected)) + sum(trans[a, b] for a, b in zip(expected, expected[1:]))
            require(abs(score - answer['score']) < 1e-3, '%s: score %r, expected %r' % (text, answer['score'], score))
            least, count = min(least, answer['margin']), count + 1
    return '%d texts, the smallest margin %.1e' % (count, least)


def check_loss(name):
    """The log-probability of a path: bert4keras' loss with the other sign."""
    random = np.random.RandomState(3)
    folder, model, tokenizer = start(name, 50)
    worst = 0
    for _ in range(5):
        randomize(model, random, 50)
        model.save(str(folder / 'model.h5'))
        sentences = texts(random)
        answers = run(folder, sentences, '--task', 'tag', '--marginals', '--starts', 'any', '--ends', 'any', '--memm', 'average')
        for text, answer in zip(sentences, answers):
            scores = nodes(model, tokenizer, text)
            path = np.array([[int(token['label'].split('_')[1]) for token in answer['tokens']]])
            loss = float(np.mean(K.eval(model.layers[-1].sparse_loss(K.constant(path, 'int32'), K.constant(scores[None])))))
            if name == 'CRF':
                mine = answer['log_partition'] - answer['score']
            else:
                mine = -answer['score'] / len(path[0])
            require(abs(mine - loss) < 1e-3 * max(1, abs(loss)), '%s: %r, expected %r' % (text, mine, loss))
            worst = max(worst, abs(mine - loss))
    return 'largest difference %.1e' % worst


def check_spans(name):
    random = np.random.RandomState(len(name))
    folder, model, tokenizer = start(name, 1)
    count = 0
    for turn in range(MODELS):
        randomize(model, random, 1)
        model.save(str(folder / 'model.h5'))
        sentences, threshold = texts(random), [0, 0.5, -0.25][turn % 3]
        answers = run(folder, sentences, '--task', 'spans', '--span-threshold=%g' % threshold)
        for text, answer in zip(sentences, answers):
            scores = nodes(model, tokenizer, text)
            scores[:, [0, -1]] -= np.inf
            scores[:, :, [0, -1]] -= np.inf
            expected = {(int(h), int(i), int(j)) for h, i, j in zip(*np.where(scores > threshold))}
            mine = {(int(s['label'].split('_')[1]), s['first'], s['last']) for s in answer['spans']}
            odd = [s for s in mine ^ expected if abs(scores[s] - threshold) > 1e-4]
            require(not odd, '%s: %s' % (text, odd[:3]))
            for span in answer['spans']:
                score = scores[int(span['label'].split('_')[1]), span['first'], span['last']]
                require(abs(score - span['score']) < 1e-3 * max(1, abs(score)), '%s: score %r, expected %r' % (text, span['score'], score))
                if span['start'] is not None and span['first'] <= span['last']:
                    # Every token is a character here.
                    require(span['text'] == text[span['first'] - 1:span['last']], '%s: %r' % (text, span))
            count += len(expected)
    return '%d spans of %d texts' % (count, MODELS * TEXTS)


run_checks(
    [('tag: paths as by bert4keras\' ViterbiDecoder, %s' % name, check_paths, name) for name in list(TOPS)[:3]]
    + [('tag: probabilities as by bert4keras\' loss, %s' % name, check_loss, name) for name in list(TOPS)[:3]]
    + [('spans: as in bert4keras\' examples, %s' % name, check_spans, name) for name in list(TOPS)[3:]]
)
