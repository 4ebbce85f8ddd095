"""transformers' and tokenizers' own ids and offsets of 10,000 difficult lines, against `ckpt tokenize`.

Vocabularies are trained here, so that nothing is downloaded: WordPiece, byte-level BPE and unigram with tokenizers,
sentencepiece models with sentencepiece. Lines are those of fixtures/generate_text_lines.py; those that are not UTF-8 must be
reported one by one, the others answered as if the broken ones were not there. What is a variant of another kind gets every
fourth line.
"""
import functools
import json
import shutil
import subprocess
import sys

import sentencepiece
import tokenizers
import transformers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from common import CKPT, FIXTURES, ROOT, WORK, require, run_checks

FOLDER = WORK / 'tokenizers'
transformers.logging.set_verbosity_error()


def lines(step=1):
    """A file of every so many lines."""
    whole, path = FOLDER / 'lines.txt', FOLDER / ('lines-%d.txt' % step)
    if not whole.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, ROOT / 'fixtures' / 'generate_text_lines.py', whole], check=True, stdout=subprocess.DEVNULL)
    if not path.exists():
        path.write_bytes(b''.join(line + b'\n' for line in whole.read_bytes().split(b'\n')[:-1][::step]))
    return path


@functools.cache
def texts(step=1):
    """Lines that are text, and the numbers of those that are not."""
    good, broken = [], []
    for number, line in enumerate(lines(step).read_bytes().split(b'\n')[:-1], 1):
        # What ends with CR is read without it, as of a file with such line ends.
        line = line[:-1] if line.endswith(b'\r') else line
        try:
            good.append(line.decode('utf-8'))
        except UnicodeDecodeError:
            broken.append(number)
    return good, broken


def tokenize(path, given, *options):
    run = subprocess.run([CKPT, 'tokenize', path, '--json', '--quiet', '--text-file', given, *options], capture_output=True)
    require(run.returncode in (0, 2), run.stderr.decode()[:300])
    answers = [json.loads(line) for line in run.stdout.decode().split('\n') if line]
    return [a for a in answers if 'error' not in a], [a['number'] for a in answers if 'error' in a]


def compare(path, library, *options, step=1):
    good, broken = texts(step)
    ours, failed = tokenize(path, lines(step), *options)
    require(failed == broken, 'lines that are not UTF-8: %s, expected %s' % (failed[:5], broken[:5]))
    require(len(ours) == len(good), '%d answers to %d lines' % (len(ours), len(good)))
    theirs = library(good, return_offsets_mapping=True)
    count = 0
    for index, (text, ours) in enumerate(zip(good, ours)):
        require(ours['text'] == text, 'another text')
        ids, places = theirs['input_ids'][index], theirs['offset_mapping'][index]
        require(ours['ids'] == ids, '%r: ids %s, expected %s' % (text, ours['ids'], ids))
        offsets = [tuple(o or (0, 0)) for o in ours['offsets']]
        require(offsets == places, '%r: offsets %s, expected %s (%s)' % (text, offsets, places, library.convert_ids_to_tokens(ids)))
        if 'token_type_ids' in theirs:
            require(ours['segments'] == theirs['token_type_ids'][index], '%r: segments' % text)
        count += len(ids)
    decode(path, library, theirs['input_ids'][::7], *options)
    pairs(path, library, good, *options)
    return '%d lines, %d ids and offsets, %d lines refused' % (len(good), count, len(broken))


def decode(path, library, ids, *options):
    given = FOLDER / 'ids.txt'
    given.write_text(''.join(' '.join(map(str, row)) + '\n' for row in ids))
    for flags, skips in (((), False), (('--skip-special',), True)):
        ours, failed = tokenize(path, given, '--decode', *flags, *options)
        require(not failed and len(ours) == len(ids), 'decode: %d answers' % len(ours))
        for row, ours, theirs in zip(ids, ours, library.batch_decode(ids, skip_special_tokens=skips)):
            require(ours['text'] == theirs, '%r, expected %r, decoded from %s' % (ours['text'][:300], theirs[:300], row))


def pairs(path, library, good, *options):
    given, texts = FOLDER / 'pairs.tsv', [t for t in good if '\t' not in t and t.strip() and not t.endswith('\r')][:400]
    first, second = texts[::2], texts[1::2]
    given.write_bytes(''.join('%s\t%s\n' % pair for pair in zip(first, second)).encode())
    for limit in (None, 9, 16):
        run = subprocess.run([CKPT, 'tokenize', path, '--json', '--quiet', '--pairs', given, *options]
                             + (['--max-length', str(limit)] if limit else []), capture_output=True, check=True)
        answers = [json.loads(line) for line in run.stdout.decode().split('\n') if line]
        require(len(answers) == len(first), '%d answers to pairs' % len(answers))
        theirs = library(first, second, max_length=limit, truncation='longest_first' if limit else False)['input_ids']
        for a, b, ours, theirs in zip(first, second, answers, theirs):
            require(ours['ids'] == theirs, '%r, %r at %s: %s, expected %s' % (a, b, limit, ours['ids'], theirs))


def corpus(count=3000):
    return [text for text in texts()[0][:count]]


# The kinds

def bert(lowercase):
    folder = FOLDER / ('bert-lower' if lowercase else 'bert-cased')
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(FIXTURES / 'tokenizer' / 'vocab.txt', folder)
    (folder / 'tokenizer_config.json').write_text(json.dumps({'do_lower_case': lowercase, 'tokenizer_class': 'BertTokenizer'}))
    return compare(folder / 'vocab.txt', transformers.BertTokenizer.from_pretrained(folder))


CONFIGURATIONS = [
    {'strip_accents': False}, {'do_lower_case': False, 'strip_accents': True}, {'tokenize_chinese_chars': False},
    {'extra_special_tokens': ['[unused1]', '天气', '<new>']}, {'additional_special_tokens': ['<a>', 'the']},
    {'cls_token': '[unused2]', 'sep_token': '<sep>', 'pad_token': None},
    {'mask_token': {'__type': 'AddedToken', 'content': '[MASK]', 'lstrip': True, 'rstrip': False, 'single_word': False, 'normalized': True}},
    {'added_tokens_decoder': {
        '9000': {'content': 'Café', 'normalized': True}, '8000': {'content': 'in', 'single_word': True}, '2147483647': {'content': '<x>', 'special': True},
        '103': {'content': '[MASK]', 'lstrip': True, 'normalized': False, 'special': True}, '12': {'content': '中', 'rstrip': True, 'lstrip': True}}},
]


def bert_configured():
    folder = FOLDER / 'bert-configured'
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(FIXTURES / 'tokenizer' / 'vocab.txt', folder)
    for configuration in CONFIGURATIONS:
        (folder / 'tokenizer_config.json').write_text(json.dumps(dict(configuration, tokenizer_class='BertTokenizer')))
        compare(folder / 'vocab.txt', transformers.BertTokenizer.from_pretrained(folder), step=20)
    return '%d configurations' % len(CONFIGURATIONS)


def bert_vocabulary():
    """Blank lines, tokens twice, blanks around tokens, CRLF."""
    folder = FOLDER / 'bert-odd'
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'tokenizer_config.json').write_text('{"tokenizer_class": "BertTokenizer"}')
    lines = (FIXTURES / 'tokenizer' / 'vocab.txt').read_text().splitlines()
    for number, odd in enumerate((lines[:300] + ['', 'the', '  in', 'of \t', '\u3000', ''] + lines[300:], lines + ['', ''], lines[:50] + lines)):
        for end in ('\n', '\r\n'):
            (folder / 'vocab.txt').write_bytes(end.join(odd).encode() + (end.encode() if number else b''))
            compare(folder / 'vocab.txt', transformers.BertTokenizer.from_pretrained(folder), step=20)
    return '6 vocabularies'


def spiece(name, **options):
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / 'text.txt'
    text.write_text('\n'.join(corpus()))
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / 'spiece'), vocab_size=4500, hard_vocab_limit=False, minloglevel=2,
        character_coverage=0.98, num_threads=1, **options)
    return folder


def t5():
    folder = spiece('t5', pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    return compare(folder / 'spiece.model', transformers.T5Tokenizer.from_pretrained(folder), '--tokenizer', 't5')


def albert(lowercase, keeps):
    folder = spiece('albert-%s-%s' % (lowercase, keeps), pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, control_symbols='[CLS],[SEP],[MASK]',
                    user_defined_symbols='(,),",-,.,–,£,€')
    (folder / 'tokenizer_config.json').write_text(json.dumps(
        {'do_lower_case': lowercase, 'keep_accents': keeps, 'tokenizer_class': 'AlbertTokenizer'}))
    return compare(folder / 'spiece.model', transformers.AlbertTokenizer.from_pretrained(folder), step=4 if keeps else 1)


def byte_level(name, kind, prefix, specials, step):
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    trained = tokenizers.ByteLevelBPETokenizer()
    trained.train_from_iterator(corpus(), vocab_size=1500, show_progress=False, special_tokens=specials)
    trained.save_model(str(folder))
    (folder / 'tokenizer_config.json').write_text(json.dumps({'tokenizer_class': kind.__name__, 'add_prefix_space': prefix}))
    return compare(folder / 'vocab.json', kind.from_pretrained(folder), step=step)


def file_of(name, tokenizer, trainer, count=3000):
    """A tokenizer.json alone."""
    path = FOLDER / name / 'tokenizer.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    if trainer:
        tokenizer.train_from_iterator(corpus(count), trainer)
    tokenizer.save(str(path))
    return path


def json_wordpiece():
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token='[UNK]'))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.BertNormalizer(lowercase=True)])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    path = file_of('json-wordpiece', tokenizer, trainers.WordPieceTrainer(
        vocab_size=1500, special_tokens=['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'], show_progress=False))
    tokenizer.post_processor = processors.BertProcessing(('[SEP]', 3), ('[CLS]', 2))
    # Tokens with every flag.
    tokenizer.add_tokens([tokenizers.AddedToken('model', single_word=True), tokenizers.AddedToken('天', lstrip=True, rstrip=True),
                          tokenizers.AddedToken('Café', normalized=True)])
    tokenizer.save(str(path))
    return compare(path, transformers.PreTrainedTokenizerFast(tokenizer_file=str(path)), step=4)


def json_bpe(normalizer, suffix):
    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token='<unk>', fuse_unk=True, **({'end_of_word_suffix': suffix} if suffix else {})))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)])
    tokenizer.decoder = decoders.BPEDecoder(suffix=suffix) if suffix else None
    options = {'end_of_word_suffix': suffix} if suffix else {}
    path = file_of('json-bpe' + suffix.strip('</>'), tokenizer, trainers.BpeTrainer(
        vocab_size=1500, special_tokens=['<unk>', '<s>', '</s>'], limit_alphabet=700, show_progress=False, **options))
    return compare(path, transformers.PreTrainedTokenizerFast(tokenizer_file=str(path)), step=4)


def json_byte_level():
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    path = file_of('json-bytes', tokenizer, trainers.BpeTrainer(
        vocab_size=1500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=['<s>'], show_progress=False))
    return compare(path, transformers.PreTrainedTokenizerFast(tokenizer_file=str(path)), step=4)


def json_unigram():
    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(tokenizers.Regex(' {2,}'), ' '),
                                                 normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme='first')
    tokenizer.decoder = decoders.Metaspace(prepend_scheme='first')
    path = file_of('json-unigram', tokenizer, trainers.UnigramTrainer(
        vocab_size=6000, unk_token='<unk>', special_tokens=['<unk>', '<s>', '</s>'], show_progress=False), 400)
    tokenizer.post_processor = processors.TemplateProcessing(
        single='<s>:0 $A:0 </s>:0', pair='<s>:0 $A:0 </s>:0 $B:1 </s>:1', special_tokens=[('<s>', 1), ('</s>', 2)])
    tokenizer.save(str(path))
    return compare(path, transformers.PreTrainedTokenizerFast(tokenizer_file=str(path)), step=4)


def json_words():
    tokenizer = tokenizers.Tokenizer(models.WordLevel(unk_token='[UNK]'))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    path = file_of('json-words', tokenizer, trainers.WordLevelTrainer(vocab_size=1500, special_tokens=['[UNK]'], show_progress=False))
    return compare(path, transformers.PreTrainedTokenizerFast(tokenizer_file=str(path)), step=4)


def json_of_library(name, library, original):
    """What the library itself writes for one of its own."""
    path = FOLDER / name / 'tokenizer.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    source = library.from_pretrained(FOLDER / original)
    source.backend_tokenizer.save(str(path))
    return compare(path, transformers.PreTrainedTokenizerFast(tokenizer_file=str(path)), step=4)


def checks():
    yield 'tokenizers bert lower', bert, True
    yield 'tokenizers bert cased', bert, False
    yield 'tokenizers bert configured', bert_configured
    yield 'tokenizers bert odd vocabulary', bert_vocabulary
    yield 'tokenizers t5', t5
    yield 'tokenizers albert', albert, True, False
    yield 'tokenizers albert cased', albert, False, True
    yield 'tokenizers gpt2', byte_level, 'gpt2', transformers.GPT2Tokenizer, False, ['<|endoftext|>'], 1
    yield 'tokenizers gpt2 with prefix', byte_level, 'gpt2-prefix', transformers.GPT2Tokenizer, True, [], 4
    yield 'tokenizers roberta', byte_level, 'roberta', transformers.RobertaTokenizer, False, ['<s>', '<pad>', '</s>', '<unk>', '<mask>'], 1
    yield 'tokenizers roberta with prefix', byte_level, 'roberta-prefix', transformers.RobertaTokenizer, True, ['<s>', '<pad>', '</s>', '<unk>', '<mask>'], 4
    yield 'tokenizers json wordpiece', json_wordpiece
    yield 'tokenizers json bpe', json_bpe, normalizers.NFD(), ''
    yield 'tokenizers json bpe with suffix', json_bpe, normalizers.NFKD(), '</w>'
    yield 'tokenizers json byte-level', json_byte_level
    yield 'tokenizers json unigram', json_unigram
    yield 'tokenizers json words', json_words
    yield 'tokenizers json of t5', json_of_library, 'json-t5', transformers.T5Tokenizer, 't5'
    yield 'tokenizers json of albert', json_of_library, 'json-albert', transformers.AlbertTokenizer, 'albert-True-False'


if __name__ == '__main__':
    run_checks(checks())
