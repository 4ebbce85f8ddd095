"""transformers generates, scores and draws with small random models what ckpt does: greedy, beams, constraints, distributions.

Weights are scaled so that distributions are neither flat nor sharp. Where a decision of ckpt's was closer than TIE, another order of
additions may decide otherwise, and the text is not compared; that must be few.
"""
import collections
import math

import numpy as np
import torch
from transformers import (BertConfig, BertForMaskedLM, BertLMHeadModel, GPT2Config, GPT2LMHeadModel, OpenAIGPTConfig, OpenAIGPTLMHeadModel,
                          T5Config, T5ForConditionalGeneration)
from transformers.generation import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from transformers.utils import logging

from common import WORK, ckpt, require, run_checks
from draws import chi_square, far

logging.disable_progress_bar()
logging.set_verbosity_error()
torch.set_num_threads(1)

TIE = 2e-5
SIZE = 40
PAD, UNK, CLS, SEP, MASK = range(5)
WORDS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'] + ['w%d' % index for index in range(5, SIZE)]
NEW = 12


@torch.no_grad()
def folder(name, model, kind=None, seed=0):
    """The model's folder. It ends with the token that it likes to draw, so that answers end."""
    target = WORK / 'generate' / name
    target.mkdir(parents=True, exist_ok=True)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=1.1 / math.sqrt(min(parameter.shape)))
    model.eval()
    if kind:
        drawn = collections.Counter()
        for row in texts(seed):
            given = inputs(kind, row)
            found = model.generate(given, attention_mask=torch.ones_like(given), do_sample=True, max_new_tokens=NEW, eos_token_id=None)
            drawn.update(found[0, -NEW + 2:].tolist())
        del drawn[PAD]
        model.config.eos_token_id = model.generation_config.eos_token_id = drawn.most_common(3)[-1][0]
    model.save_pretrained(target)
    (target / 'vocab.txt').write_text('\n'.join(WORDS) + '\n')
    return target


def build(kind, seed):
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    heads = int(random.integers(1, 4))
    width, layers = 8 * heads, int(random.integers(1, 4))
    ends = dict(bos_token_id=CLS, eos_token_id=SEP, pad_token_id=PAD)
    if kind == 'gpt2':
        model = GPT2LMHeadModel(GPT2Config(vocab_size=SIZE, n_positions=40, n_embd=width, n_layer=layers, n_head=heads, **ends))
    elif kind == 'gpt':
        model = OpenAIGPTLMHeadModel(OpenAIGPTConfig(vocab_size=SIZE, n_positions=40, n_embd=width, n_layer=layers, n_head=heads, **ends))
    elif kind == 'bert':
        model = BertLMHeadModel(BertConfig(vocab_size=SIZE, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
                                           intermediate_size=2 * width, max_position_embeddings=40, is_decoder=True, **ends))
    else:
        model = T5ForConditionalGeneration(T5Config(
            vocab_size=SIZE, d_model=width, d_kv=8, d_ff=2 * width, num_layers=layers, num_decoder_layers=layers, num_heads=heads,
            feed_forward_proj='gated-gelu' if kind == 'mt5' else 'relu', decoder_start_token_id=PAD, eos_token_id=SEP, pad_token_id=PAD))
    return model, folder('%s-%d' % (kind, seed), model, kind, seed)


def texts(seed, count=4):
    """Words, and the ids that ckpt's prompt has: a causal model's begins with [CLS] and stops before [SEP]."""
    random = np.random.default_rng(1000 + seed)
    return [[int(x) for x in random.integers(5, SIZE, random.integers(1, 9))] for _ in range(count)]


def answer(target, ids, *options):
    run = ckpt('run', target, '--task', 'generate', '--quiet', '--max-new-tokens', NEW, *options,
               *[' '.join(WORDS[i] for i in row) for row in ids])
    return [row['answers'] for row in run['results']]


def inputs(kind, row):
    return torch.tensor([[CLS] + row + [SEP]] if kind in ('t5', 'mt5') else [[CLS] + row])


def modes(seed):
    """(options of the command, arguments of generate)"""
    random = np.random.default_rng(2000 + seed)
    beams = int(random.integers(2, 6))
    penalty = float(random.choice([-0.5, 0.0, 0.6, 1.0, 2.0]))
    early = [('false', False), ('true', True), ('never', 'never')][int(random.integers(3))]
    returns = int(random.integers(1, beams + 1))
    searched = (['--beams', beams, '--length-penalty=%s' % penalty, '--early-stopping', early[0], '--returns', returns],
                dict(num_beams=beams, length_penalty=penalty, early_stopping=early[1], num_return_sequences=returns))
    more = [
        (['--repetition-penalty', 1.3], dict(repetition_penalty=1.3)),
        (['--no-repeat-ngram', 2], dict(no_repeat_ngram_size=2)),
        (['--min-length', 5], dict(min_new_tokens=5)),
        (['--repetition-penalty', 0.8, '--no-repeat-ngram', 3, '--min-length', 3], dict(repetition_penalty=0.8, no_repeat_ngram_size=3, min_new_tokens=3)),
    ]
    extra = more[int(random.integers(len(more)))]
    other = more[int(random.integers(len(more)))]
    return [([], {}), extra, searched, (searched[0] + other[0], dict(searched[1], **other[1]))]


def trimmed(row, beginning, end):
    """New ids to the end token, without what pads a batch."""
    row = row[beginning:].tolist()
    return row[:row.index(end) + 1] if end in row else row


@torch.no_grad()
def check_generate(kind, seed):
    model, target = build(kind, seed)
    options = ['--mask', 'causal'] if kind == 'bert' else []
    rows = texts(seed)
    compared = close = ended = 0
    for flags, arguments in modes(seed):
        for row, mine in zip(rows, answer(target, rows, *options, *flags)):
            given = inputs(kind, row)
            found = model.generate(given, attention_mask=torch.ones_like(given), do_sample=False, max_new_tokens=NEW, output_scores=True,
                                   return_dict_in_generate=True, **arguments)
            beginning = 1 if kind in ('t5', 'mt5') else given.shape[1]
            theirs = [trimmed(sequence, beginning, model.config.eos_token_id) for sequence in found.sequences]
            require(len(mine) == len(theirs), '%s: %d answers, not %d' % (flags, len(mine), len(theirs)))
            for place, (one, other) in enumerate(zip(mine, theirs)):
                if one['margin'] is not None and one['margin'] < TIE:
                    close += 1
                    break
                require(one['ids'] == other, '%s %s %d: %s, not %s' % (flags, row, place, one['ids'], other))
                compared += 1
                ended += one['finished']
                require(one['finished'] == (other[-1] == model.config.eos_token_id), 'finished %s' % one)
                if 'num_beams' in arguments:
                    score = found.sequences_scores[place].item()
                    require(abs(score - one['score']) < 1e-4 * max(1, abs(score)), '%s: score %s, not %s' % (flags, one['score'], score))
    require(compared >= 4 * close, '%d of %d were too close' % (close, compared + close))
    return '%d answers, %d of them ended, %d too close to compare' % (compared, ended, close)


@torch.no_grad()
def check_scores(kind, seed):
    model, target = build(kind, seed)
    rows = [row for row in texts(seed, 6)]
    worst = 0
    if kind in ('t5', 'mt5'):
        pairs = [(rows[i], rows[i - 1]) for i in range(len(rows))]
        (target / 'pairs.tsv').write_text(''.join('%s\t%s\n' % tuple(' '.join(WORDS[i] for i in ids) for ids in pair) for pair in pairs))
        run = ckpt('run', target, '--task', 'score', '--quiet', '--pairs', target / 'pairs.tsv')
        for (source, ids), mine in zip(pairs, run['results']):
            labels = ids + [model.config.eos_token_id]
            logits = model(input_ids=torch.tensor([[CLS] + source + [SEP]]), labels=torch.tensor([labels])).logits[0]
            theirs = torch.log_softmax(logits, -1)[range(len(labels)), labels]
            worst = max(worst, compare(mine, labels, theirs.tolist()))
    else:
        options = ['--mask', 'causal'] if kind == 'bert' else []
        run = ckpt('run', target, '--task', 'score', '--quiet', *options, *[' '.join(WORDS[i] for i in row) for row in rows])
        for row, mine in zip(rows, run['results']):
            ids = [CLS] + row + [SEP]
            logits = model(torch.tensor([ids])).logits[0, :-1]
            theirs = torch.log_softmax(logits, -1)[range(len(ids) - 1), ids[1:]]
            worst = max(worst, compare(mine, ids, [None] + theirs.tolist()))
    return '%d texts, worst difference %.1e' % (len(rows), worst)


def compare(mine, ids, theirs):
    require([token['id'] for token in mine['tokens']] == ids, '%s, not %s' % (mine['tokens'], ids))
    found = [token['log_likelihood'] for token in mine['tokens']]
    require([x is None for x in found] == [x is None for x in theirs], 'which have none: %s' % found)
    known = [(a, b) for a, b in zip(found, theirs) if b is not None]
    worst = max(abs(a - b) for a, b in known)
    require(worst < 1e-4, '%s, not %s' % (found, theirs))
    perplexity = math.exp(-sum(b for _, b in known) / len(known))
    require(abs(mine['perplexity'] - perplexity) < 1e-4 * perplexity, 'perplexity %s, not %s' % (mine['perplexity'], perplexity))
    return worst


@torch.no_grad()
def check_masked(seed):
    torch.manual_seed(seed)
    model = BertForMaskedLM(BertConfig(vocab_size=SIZE, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
                                       max_position_embeddings=40))
    target = folder('masked-%d' % seed, model)
    rows, worst = texts(seed, 4), 0
    run = ckpt('run', target, '--task', 'score', '--quiet', *[' '.join(WORDS[i] for i in row) for row in rows])
    for row, mine in zip(rows, run['results']):
        theirs = []
        for place, token in enumerate(row):
            ids = [CLS] + row + [SEP]
            ids[place + 1] = MASK
            theirs.append(torch.log_softmax(model(torch.tensor([ids])).logits[0, place + 1], -1)[token].item())
        worst = max(worst, compare(mine, row, theirs))
    return '%d texts, worst difference %.1e' % (len(rows), worst)


@torch.no_grad()
def check_samples(seed, flags, processors):
    model, target = build('gpt2', seed)
    row = texts(seed, 1)[0]
    draws = 20000
    run = ckpt('run', target, '--task', 'generate', '--quiet', '--max-new-tokens', 2, '--samples', draws, '--seed', seed, *flags,
               ' '.join(WORDS[i] for i in row))
    drawn = [answer['ids'] for answer in run['results'][0]['answers']]
    require(len(drawn) == draws, '%d draws' % len(drawn))

    def distribution(ids):
        scores = processors(None, model(torch.tensor([[CLS] + row + ids])).logits[:, -1])
        return {token: p for token, p in enumerate(torch.softmax(scores[0], -1).tolist()) if p > 0}

    reports = []
    first = distribution([])
    statistic, freedom = chi_square(collections.Counter(ids[0] for ids in drawn), first)
    require(statistic <= far(freedom), 'first token: χ² %.1f of %d' % (statistic, freedom))
    reports.append('χ² %.1f of %d' % (statistic, freedom))
    token = max((token for token in first if token != model.config.eos_token_id), key=first.get)
    after = [ids[1] for ids in drawn if ids[0] == token]
    statistic, freedom = chi_square(collections.Counter(after), distribution([token]))
    require(statistic <= far(freedom), 'second token: χ² %.1f of %d' % (statistic, freedom))
    reports.append('after the likeliest χ² %.1f of %d' % (statistic, freedom))
    return ', '.join(reports)


KINDS = ['gpt2'] * 8 + ['gpt'] * 4 + ['bert'] * 4 + ['t5'] * 5 + ['mt5'] * 4
SAMPLES = [
    ([], []),
    (['--temperature', 0.7], [TemperatureLogitsWarper(0.7)]),
    (['--top-k', 6], [TopKLogitsWarper(6)]),
    (['--top-p', 0.8], [TopPLogitsWarper(0.8)]),
    (['--temperature', 1.4, '--top-k', 12, '--top-p', 0.7], [TemperatureLogitsWarper(1.4), TopKLogitsWarper(12), TopPLogitsWarper(0.7)]),
]

if __name__ == '__main__':
    run_checks(
        [('generate %s %d' % (kind, seed), check_generate, kind, seed) for seed, kind in enumerate(KINDS)]
        + [('score %s' % kind, check_scores, kind, 100 + place) for place, kind in enumerate(['gpt2', 'gpt', 'bert', 't5', 'mt5'])]
        + [('score masked', check_masked, 110)]
        + [('samples %s' % (' '.join(map(str, flags)) or 'plain'), check_samples, 200 + place, flags, LogitsProcessorList(processors))
           for place, (flags, processors) in enumerate(SAMPLES)])
