"""Tasks of `run --task` answer as bert4keras does: vectors pooled by Keras, a Dense(softmax) of a user, MLM probabilities."""
import numpy as np

from bert4keras_models import keras
from bert4keras.layers import GlobalAveragePooling1D
from bert4keras.models import build_transformer_model
from bert4keras.tokenizers import Tokenizer
from common import FIXTURES, Worst, ckpt, place, require, run_checks

FOLDER = FIXTURES / 'tiny-albert'


def sentences():
    """Real text of many lengths."""
    lines = (FOLDER / 'sentences.txt').read_text().split('\n')
    text = ''.join(lines).replace('[MASK]', '很')
    return [text[start:start + 1 + start * 7 % 25] for start in range(0, len(text) - 30, 5)]


def build(**options):
    keras.backend.clear_session()
    model = build_transformer_model(str(FOLDER / 'config.json'), model='albert', **options)
    model.load_weights(str(FOLDER / 'weights.h5'), by_name=True)
    return model


def inputs(lines):
    """One row at a time: what padding does is none of these checks' affair."""
    tokenizer = Tokenizer(str(FOLDER / 'vocab.txt'), do_lower_case=True)
    for line in lines:
        yield [np.array([ids]) for ids in tokenizer.encode(line)]


def ask(model, task, lines, *options):
    path = place('tasks', 'b4k-lines.txt')
    path.write_text('\n'.join(lines) + '\n')
    answer = ckpt('run', model, '--task', task, '--text-file', path, *options)
    require(len(answer['results']) == len(lines), '%d answers to %d texts' % (len(answer['results']), len(lines)))
    return answer


def check_encode():
    bert, lines, worst = build(), sentences(), Worst()
    layer = bert.get_layer('Transformer-FeedForward-Norm')
    first, last = layer.get_output_at(0), bert.outputs[0]
    average = keras.layers.Average()([GlobalAveragePooling1D()(first), GlobalAveragePooling1D()(last)])
    model = keras.models.Model(bert.inputs, [last, GlobalAveragePooling1D()(last), average])
    results = [model.predict(row, verbose=0) for row in inputs(lines)]
    outputs = place('tasks', 'b4k-vectors.npy')
    for pooling, wanted in [('cls', [x[0][0, 0] for x in results]), ('mean', [x[1][0] for x in results]),
                            ('first-last-avg', [x[2][0] for x in results])]:
        ask(FOLDER / 'weights.h5', 'encode', lines, '--pooling', pooling, '--outputs', outputs, '--overwrite')
        worst.compare(pooling, np.load(outputs), np.stack(wanted))
    return '%d texts, %s' % (len(lines), worst)


def check_classify(activation):
    bert, lines, worst = build(), sentences(), Worst()
    first = keras.layers.Lambda(lambda x: x[:, 0], name='CLS-token')(bert.output)
    dense = keras.layers.Dense(3, activation=activation, kernel_initializer='glorot_normal', bias_initializer='uniform')
    model = keras.models.Model(bert.inputs, dense(first))
    path = place('tasks', 'b4k-classify-%s.h5' % activation)
    model.save_weights(str(path))
    place('tasks', 'b4k-classify-%s.config.json' % activation).write_text((FOLDER / 'config.json').read_text())
    results = ask(path, 'classify', lines, '--vocab', FOLDER / 'vocab.txt', '--labels', 'A,B,C',
                  '--set', 'head.%s=first-token,%s' % (dense.name, activation))['results']
    for row, line, found in zip(inputs(lines), lines, results):
        wanted = model.predict(row, verbose=0)[0]
        scores = {x['label']: x['score'] for x in found['labels']}
        worst.compare(line, [scores[name] for name in 'ABC'], wanted)
        if activation == 'softmax':
            require(found['label'] == 'ABC'[wanted.argmax()], 'label of %r' % line)
        else:
            require(found['label'] == [name for name, score in zip('ABC', wanted) if score >= 0.5], 'labels of %r' % line)
    return '%d texts, %s' % (len(lines), worst)


def check_fill_mask():
    model, worst = build(with_mlm=True), Worst()
    lines = [line for line in sentences() if len(line) > 3]
    tokenizer = Tokenizer(str(FOLDER / 'vocab.txt'), do_lower_case=True)
    masked = [line[:2] + '[MASK]' + line[3:] for line in lines]
    results = ask(FOLDER / 'weights.h5', 'fill-mask', masked, '--top-k', 5)['results']
    for line, found in zip(lines, results):
        # Everybody who uses bert4keras masks ids: its tokenizer takes [MASK] in text for characters.
        ids = tokenizer.encode(line[:2])[0][:-1] + [tokenizer._token_mask_id] + tokenizer.encode(line[3:])[0][1:]
        place_of_mask = len(tokenizer.encode(line[:2])[0]) - 1
        row = model.predict([np.array([ids]), np.zeros((1, len(ids)))], verbose=0)[0, place_of_mask]
        mask, = found['masks']
        require(mask['position'] == place_of_mask, 'position %d in %r, not %d' % (mask['position'], line, place_of_mask))
        wanted = np.argsort(-row, kind='stable')[:5]
        require([x['id'] for x in mask['candidates']] == wanted.tolist(), 'tokens for %r' % line)
        worst.compare(line, [x['probability'] for x in mask['candidates']], row[wanted], 2e-5)
    return '%d texts, %s' % (len(lines), worst)


def checks():
    yield 'bert4keras encode', check_encode
    for activation in ['softmax', 'sigmoid']:
        yield 'bert4keras classify ' + activation, check_classify, activation
    yield 'bert4keras fill-mask', check_fill_mask


if __name__ == '__main__':
    run_checks(checks())
