"""bert4keras' own ids, segments and `rematch` of 10,000 difficult lines, against `ckpt tokenize`; SpTokenizer too.

The sentencepiece package is of the library's version in Debian 12: later ones decide otherwise between equal scores."""
import json
import subprocess
import sys

from bert4keras.tokenizers import SpTokenizer, Tokenizer

from common import CKPT, FIXTURES, ROOT, WORK, require, run_checks

FOLDER = WORK / 'bert4keras-tokenizers'
VOCABULARY = FIXTURES / 'tokenizer' / 'vocab.txt'


def texts():
    path = FOLDER / 'lines.txt'
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, ROOT / 'fixtures' / 'generate_text_lines.py', path], check=True, stdout=subprocess.DEVNULL)
    good = []
    for line in path.read_bytes().split(b'\n')[:-1]:
        try:
            good.append((line[:-1] if line.endswith(b'\r') else line).decode('utf-8'))
        except UnicodeDecodeError:
            pass
    return path, good


def tokenize(path, given, *options):
    run = subprocess.run([CKPT, 'tokenize', path, '--json', '--quiet', '--text-file', given, *options], capture_output=True)
    require(run.returncode in (0, 2), run.stderr.decode()[:300])
    answers = [json.loads(line) for line in run.stdout.decode().split('\n') if line]
    return [answer for answer in answers if 'error' not in answer]


def check(lowercase):
    path, good = texts()
    library = Tokenizer(str(VOCABULARY), do_lower_case=lowercase)
    answers = tokenize(VOCABULARY, path, '--tokenizer', 'bert4keras', '--rematch', *([] if lowercase else ['--cased']))
    require(len(answers) == len(good), '%d answers to %d lines' % (len(answers), len(good)))
    count, lost, ids = 0, 0, []
    for text, ours in zip(good, answers):
        expected, segments = library.encode(text)
        require(ours['ids'] == expected, '%r: ids %s, expected %s' % (text, ours['ids'], expected))
        require(ours['segments'] == segments, '%r: segments' % text)
        try:
            mapping = library.rematch(text, library.tokenize(text))
        except ValueError:
            mapping, lost = None, lost + 1
        require(ours['rematch'] == mapping, '%r: rematch %s, expected %s' % (text, ours['rematch'], mapping))
        # Where lower case keeps the number of characters, offsets say the same.
        if mapping and len(text.lower()) == len(text):
            offsets = [(place[0], place[-1] + 1) if place else None for place in mapping]
            given = [tuple(offset) if offset and offset[0] < offset[1] else None for offset in ours['offsets']]
            require(given == offsets, '%r: offsets %s, expected %s' % (text, given, offsets))
        count += len(expected)
        ids.append(expected)
    decoded(library, ids[::5], VOCABULARY, '--tokenizer', 'bert4keras')
    return '%d lines, %d ids, %d where rematch finds none' % (len(good), count, lost)


def decoded(library, rows, path, *options):
    given = FOLDER / 'ids.txt'
    given.write_text(''.join(' '.join(map(str, row)) + '\n' for row in rows))
    answers = tokenize(path, given, '--decode', *options)
    require(len(answers) == len(rows), '%d decoded of %d' % (len(answers), len(rows)))
    for row, ours in zip(rows, answers):
        theirs = library.decode(row)
        require(ours['text'] == theirs, '%r, expected %r, decoded from %s' % (ours['text'][:300], theirs[:300], row))


def segmented():
    path, good = texts()
    library = Tokenizer(str(VOCABULARY), do_lower_case=True, pre_tokenize=lambda text: text.split())
    answers = tokenize(VOCABULARY, path, '--tokenizer', 'bert4keras', '--segmented')
    for text, ours in zip(good, answers):
        expected = library.encode(text)[0]
        require(ours['ids'] == expected, '%r: ids %s, expected %s' % (text, ours['ids'], expected))
    return '%d lines' % len(good)


def sentencepiece(name, options, start, end):
    import sentencepiece as spm
    path, good = texts()
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / 'text.txt'
    text.write_text('\n'.join(good[:3000]))
    spm.SentencePieceTrainer.train(input=str(text), model_prefix=str(folder / 'spiece'), vocab_size=4500, hard_vocab_limit=False,
                                   minloglevel=2, character_coverage=0.98, num_threads=1, **options)
    library = SpTokenizer(str(folder / 'spiece.model'), token_start=start, token_end=end)
    answers = tokenize(folder / 'spiece.model', path, '--tokenizer', 'sentencepiece')
    require(len(answers) == len(good), '%d answers to %d lines' % (len(answers), len(good)))
    count, ids = 0, []
    for text, ours in zip(good, answers):
        expected, segments = library.encode(text)
        require(ours['ids'] == expected, '%r: ids %s, expected %s' % (text, ours['ids'], expected))
        require(ours['segments'] == segments, '%r: segments' % text)
        proto = library.sp_model.encode(text, out_type='immutable_proto')
        theirs = [(piece.begin, piece.end) for piece in proto.pieces]
        places = [tuple(o) for o in ours['offsets'] if o is not None]
        require(places == theirs, '%r: offsets %s, expected %s' % (text, places, theirs))
        count += len(expected)
        ids.append(expected)
    decoded(library, ids[::5], folder / 'spiece.model', '--tokenizer', 'sentencepiece')
    return '%d lines, %d ids' % (len(good), count)


def checks():
    yield 'bert4keras tokenizer lower', check, True
    yield 'bert4keras tokenizer cased', check, False
    yield 'bert4keras tokenizer segmented', segmented
    albert = dict(pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, control_symbols='[CLS],[SEP],[MASK]', user_defined_symbols='(,),",-')
    yield 'bert4keras SpTokenizer albert', sentencepiece, 'albert', albert, '[CLS]', '[SEP]'
    yield 'bert4keras SpTokenizer t5', sentencepiece, 't5', dict(pad_id=0, eos_id=1, unk_id=2, bos_id=-1), None, '</s>'
    yield 'bert4keras SpTokenizer bpe', sentencepiece, 'bpe', dict(albert, model_type='bpe'), '[CLS]', '[SEP]'


if __name__ == '__main__':
    run_checks(checks())
