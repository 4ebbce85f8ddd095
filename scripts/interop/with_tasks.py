"""Tasks of `run --task` answer as transformers' pipelines do; question answering as its pipeline did before version 5."""
import json
import random
import shutil

import numpy as np
import torch
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForQuestionAnswering, AutoModelForSequenceClassification, BertTokenizer, pipeline
from transformers.utils import logging

from common import FIXTURES, Worst, ckpt, label, load_json, place, require, run_checks, softmax

logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_grad_enabled(False)

SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
# Each row of a vocabulary is one of these, so that words have several pieces and some characters none.
PIECES = ['好', 'a', '##a', 'b', '##b', '坏', '.', 'c', '##c', '店', 'ab', '##ca', 'd', '酒', 'é', '1', '##1', '很']


def with_vocabulary(fixture, **settings):
    """The fixture's files with a vocabulary of its size and other settings in its configuration."""
    folder = place('tasks', label(fixture, *settings.values()))
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(FIXTURES / fixture, folder)
    config = dict(load_json(folder / 'config.json'), **settings)
    (folder / 'config.json').write_text(json.dumps(config))
    pieces = PIECES + ['w%d' % number for number in range(config['vocab_size'])]
    tokens = (SPECIAL + pieces)[:config['vocab_size']]
    (folder / 'vocab.txt').write_text('\n'.join(tokens) + '\n')
    tokenizer = BertTokenizer.from_pretrained(folder, do_lower_case=True)
    require(len(tokenizer) == config['vocab_size'], '%d tokens' % len(tokenizer))
    tokenizer.model_input_names = ['input_ids', 'attention_mask'] + (['token_type_ids'] if config.get('type_vocab_size') else [])
    return folder, tokenizer, config


def texts(seed, longest, count=40):
    """Words of the vocabulary's characters, and some that it lacks; shorter than the model's positions."""
    draw = random.Random(seed)
    words = ['abca', '好', 'b', '坏店', 'ca1', 'xyz', 'É', '.', '很', 'd', '酒', 'abab']
    found = []
    while len(found) < count:
        text = ' '.join(draw.choice(words) for _ in range(draw.randint(0, longest)))
        found.append(text)
    return found


def fitting(tokenizer, all_texts, config):
    kept = [text for text in all_texts if len(tokenizer(text)['input_ids']) <= config['max_position_embeddings']]
    require(len(kept) > 10, 'only %d texts are short enough' % len(kept))
    return kept


def ask(folder, task, lines, *options, code=0):
    path = place('tasks', 'lines.txt')
    path.write_text('\n'.join(line if isinstance(line, str) else json.dumps(line) for line in lines) + '\n')
    jsonl = [] if all(isinstance(line, str) for line in lines) else ['--jsonl']
    answer = ckpt('run', folder, '--task', task, '--text-file', path, *jsonl, *options, code=code)
    require(len(answer['results']) == len(lines), '%d answers to %d texts' % (len(answer['results']), len(lines)))
    return answer


def check_features(fixture):
    folder, tokenizer, config = with_vocabulary(fixture)
    lines = fitting(tokenizer, texts(1, 6), config)
    model = AutoModel.from_pretrained(folder).eval()
    features = pipeline('feature-extraction', model=model, tokenizer=tokenizer)
    states = [np.asarray(features(line)[0]) for line in lines]
    worst = Worst()
    outputs = place('tasks', 'vectors.npy')
    for pooling, pool in [('cls', lambda x: x[0]), ('mean', lambda x: x.mean(0)), ('last', lambda x: x[-1])]:
        ask(folder, 'encode', lines, '--pooling', pooling, '--outputs', outputs, '--overwrite')
        worst.compare(pooling, np.load(outputs), np.stack([pool(state) for state in states]))
    inner = [model(**tokenizer(line, return_tensors='pt'), output_hidden_states=True).hidden_states for line in lines]
    average = np.stack([(x[1][0].mean(0) + x[-1][0].mean(0)).numpy() / 2 for x in inner])
    ask(folder, 'encode', lines, '--pooling', 'first-last-avg', '--normalize', '--outputs', outputs, '--overwrite')
    wanted = average / np.linalg.norm(average, axis=1, keepdims=True)
    worst.compare('first-last-avg', np.load(outputs), wanted)
    matrix = ask(folder, 'similarity', lines, '--matrix', '--pooling', 'first-last-avg')['matrix']
    worst.compare('similarity', matrix, wanted @ wanted.T)
    return str(worst)


def check_classification(fixture, problem):
    names = {'id2label': {'0': 'no', '1': 'maybe', '2': 'yes'}, 'label2id': {'no': 0, 'maybe': 1, 'yes': 2}}
    folder, tokenizer, config = with_vocabulary(fixture, problem_type=problem, **names)
    lines = fitting(tokenizer, texts(2, 6), config)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    classify = pipeline('text-classification', model=model, tokenizer=tokenizer, top_k=None)
    worst = Worst()
    for line, found in zip(lines, ask(folder, 'classify', lines)['results']):
        wanted = classify([line])[0]
        require([x['label'] for x in found['labels']] == [x['label'] for x in wanted], 'labels of %r: %s, not %s' % (line, found, wanted))
        worst.compare(line, [x['score'] for x in found['labels']], [x['score'] for x in wanted])
    return str(worst)


def check_fill_mask(fixture):
    folder, tokenizer, config = with_vocabulary(fixture)
    lines = [line.replace('b', '[MASK]', 1) if 'b' in line else line + ' [MASK]' for line in texts(3, 4)] + ['[MASK] 好 [MASK]']
    lines = fitting(tokenizer, lines, config)
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    fill = pipeline('fill-mask', model=model, tokenizer=tokenizer)
    worst = Worst()
    for targets in ([], ['好', '##a', 'c']):
        options = ['--targets', ','.join(targets)] if targets else []
        for line, found in zip(lines, ask(folder, 'fill-mask', lines, '--top-k', 4, *options)['results']):
            wanted = fill(line, top_k=4, **({'targets': targets} if targets else {}))
            wanted = wanted if isinstance(wanted[0], list) else [wanted]
            require(len(found['masks']) == len(wanted), '%d masks in %r, not %d' % (len(found['masks']), line, len(wanted)))
            for mask, best in zip(found['masks'], wanted):
                require([x['id'] for x in mask['candidates']] == [x['token'] for x in best], 'tokens for %r: %s, not %s' % (line, mask, best))
                worst.compare(line, [x['probability'] for x in mask['candidates']], [x['score'] for x in best])
    return str(worst)


def spans(start, end, context, longest, impossible):
    """The pipeline's rule: softmax over the context, products, an upper band; (score, start, end) and the null score."""
    among = np.array(context) | (impossible & (np.arange(len(context)) == 0))
    start, end = (softmax(np.where(among, x, -10000.0).astype('float64')) for x in (start, end))
    null = start[0] * end[0]
    start[0] = end[0] = 0
    products = np.tril(np.triu(np.outer(start, end)), longest - 1)
    places = [(products[i, j], i, j) for i in range(len(start)) for j in range(len(end)) if products[i, j] > 0 and context[i] and context[j]]
    return sorted(places, key=lambda x: -x[0]), null


def check_question_answering(fixture, impossible):
    folder, tokenizer, config = with_vocabulary(fixture)
    draw, limit, longest, stride = random.Random(4), config['max_position_embeddings'], 3, 2
    contexts = [text for text in texts(5, 12) if text.strip()]
    pairs = [{'question': draw.choice(['好', 'b', 'd 坏']), 'context': context} for context in contexts]
    model = AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    options = ['--long', 'truncate', '--stride', stride, '--max-answer-length', longest, '--top-k', 3]
    results = ask(folder, 'qa', pairs, *options, *(['--handle-impossible'] if impossible else []))['results']
    worst, windows = Worst(), 0
    for pair, found in zip(pairs, results):
        encoded = tokenizer(pair['question'], pair['context'], truncation='only_second', max_length=limit, stride=stride,
                            return_overflowing_tokens=True, return_offsets_mapping=True, padding=True, return_tensors='pt')
        windows += len(encoded['input_ids'])
        output = model(**{name: encoded[name] for name in tokenizer.model_input_names})
        all_spans, nulls = {}, []
        for row in range(len(encoded['input_ids'])):
            context = [x == 1 for x in encoded.sequence_ids(row)]
            best, null = spans(output.start_logits[row].numpy(), output.end_logits[row].numpy(), context, longest, impossible)
            nulls.append(null)
            for score, i, j in best[:3]:
                # Whole words, as align_to_words has it.
                first, last = (encoded.word_to_chars(row, encoded.token_to_word(row, k), 1) for k in (i, j))
                key = (first.start, last.end)
                all_spans[key] = max(all_spans.get(key, 0), score)
        if impossible:
            all_spans[(0, 0)] = min(nulls)
        wanted = sorted(all_spans.items(), key=lambda x: -x[1])[:3]
        worst.compare(str(pair), [x['score'] for x in found['answers']], [score for _, score in wanted], 2e-5)
        for answer, ((start, end), _) in zip(found['answers'], wanted):
            require(answer['answer'] == pair['context'][answer['start']:answer['end']], 'offsets of %s' % answer)
        # Equal scores may stand in another order.
        if len(wanted) < 2 or wanted[0][1] > wanted[1][1] * (1 + 1e-4):
            best = found['answers'][0]
            require((best['start'], best['end']) == wanted[0][0], 'answer to %s: %s, not %s' % (pair, best, wanted[0]))
    require(windows > len(pairs), 'no context is long enough to be cut')
    return '%s; %d windows of %d contexts' % (worst, windows, len(pairs))


def checks():
    for fixture in ['hf-bert', 'hf-albert', 'hf-distilbert', 'hf-electra-generator']:
        yield 'tasks encode ' + fixture, check_features, fixture
    for fixture in ['hf-bert-sequence', 'hf-albert-sequence', 'hf-distilbert-sequence', 'hf-electra-sequence']:
        for problem in ['single_label_classification', 'multi_label_classification', 'regression']:
            yield 'tasks classify %s %s' % (fixture, problem), check_classification, fixture, problem
    for fixture in ['hf-bert-mlm', 'hf-albert', 'hf-distilbert', 'hf-electra-generator']:
        yield 'tasks fill-mask ' + fixture, check_fill_mask, fixture
    for fixture in ['hf-bert-qa', 'hf-albert-qa', 'hf-distilbert-qa', 'hf-electra-qa']:
        for impossible in [False, True]:
            yield 'tasks qa %s%s' % (fixture, ' or none' if impossible else ''), check_question_answering, fixture, impossible


if __name__ == '__main__':
    run_checks(checks())
