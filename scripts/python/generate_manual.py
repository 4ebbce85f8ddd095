"""Writes docs/man/ckpt.1 and a page for each subcommand, from what the command says of itself.

    python scripts/python/generate_manual.py [--check] [CKPT]

CKPT is the command, .build/debug/ckpt unless given. With --check nothing is written, and it fails where a page is not
what would be written. `make interop` checks that.
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'docs' / 'man'
# mdoc: the date of the pages, which only changes when somebody changes it here.
DATE = 'November 27, 2026'
EXIT = [
    ('0', 'done'), ('1', 'compared and different, or verification failed'), ('2', 'the input cannot be read or is unsupported'), ('64', 'usage'),
    ('70', 'a bug in ckpt'), ('74', 'cannot write'), ('130', 'interrupted')]
EXAMPLES = {
    'ckpt': ['ckpt info model.h5', "ckpt ls model.h5 '*attention*'", 'ckpt convert model.h5 out --to huggingface'],
    'show': ['ckpt show model.h5 embeddings.token --slice :4,:8', 'ckpt show model.h5 layers.0.attention.query.kernel --heat',
             'ckpt show model.h5 embeddings.token --hist -o histogram.png'],
    'ls': ["ckpt ls model.h5 'layers.*.norm.*' --canonical --stats"],
    'convert': ['ckpt convert albert.h5 out --to huggingface --apply untie', 'ckpt convert model.h5 model.safetensors --dtype f16'],
    'verify': ['ckpt verify model.h5 out --per-layer', 'ckpt verify model.h5 out --task classify --text-file reviews.txt'],
    'tokenize': ["ckpt tokenize model.h5 '今天天气不错。'", 'ckpt tokenize spiece.model --ids-only --text-file lines.txt',
                 'ckpt tokenize model.h5 --decode 101 791 102'],
    'run': ["ckpt run model.h5 --task fill-mask '今天[MASK]气不错。'",
            'ckpt run model.h5 --task encode --pooling mean --normalize --text-file texts.txt --outputs vectors.npy'],
}


def escaped(text):
    """Text that troff takes as it is; a dot or a quote at the start of a line would be a request."""
    text = text.replace('\\', '\\e').replace('-', '\\-')
    return re.sub(r'^([.\'])', r'\\&\1', text, flags=re.M)


def paragraphs(text):
    lines = []
    for index, part in enumerate(re.split(r'\n\s*\n', text.strip())):
        if index:
            lines.append('.Pp')
        # A sentence a line, as mandoc asks for.
        part = ' '.join(part.split())
        lines += [escaped(line) for line in re.split(r'(?<=[.!?]) (?=[A-Z])', part)]
    return lines


def words(text):
    """Arguments of a macro: what it could take for another macro or for punctuation is protected."""
    return ' '.join('\\&' + word if re.fullmatch(r'[A-Z][a-z]|[.,:;()\[\]?!|]', word) else word for word in escaped(text).split())


def flag(name):
    return ('Fl ' if name['kind'] == 'short' else 'Fl \\-') + escaped(name['name'])


def synopsis(argument):
    name = words(argument.get('valueName', ''))
    more = ' ...' if argument.get('isRepeating') else ''
    if argument['kind'] == 'positional':
        return ('.Op Ar %s%s' if argument['isOptional'] else '.Ar %s%s') % (name, more)
    value = ' Ar ' + name if argument['kind'] == 'option' else ''
    return '.Op %s%s%s' % (flag(argument['preferredName']), value, more)


def item(argument):
    if argument['kind'] == 'positional':
        head = '.It Ar ' + words(argument['valueName'])
    else:
        value = ' Ar ' + words(argument['valueName']) if argument['kind'] == 'option' else ''
        head = '.It ' + ' , '.join(flag(name) + value for name in argument['names'])
    body = paragraphs(argument.get('abstract') or argument['valueName'])
    if argument.get('allValues'):
        body.append('Values: %s.' % escaped(', '.join(argument['allValues'])))
    if argument.get('defaultValue'):
        body.append('Default: %s.' % escaped(argument['defaultValue']))
    return [head] + body


def page(command, parent=None):
    name = command['commandName']
    full = '%s-%s' % (parent, name) if parent else name
    arguments = [a for a in command.get('arguments', []) if a.get('shouldDisplay', True)]
    subcommands = [c for c in command.get('subcommands', []) if c['commandName'] != 'help']
    lines = [
        '.\\" Made by scripts/python/generate_manual.py; do not edit.', '.Dd ' + DATE, '.Dt %s 1' % full.upper(), '.Os', '.Sh NAME', '.Nm %s' % escaped(full),
        '.Nd %s' % escaped(command['abstract'].rstrip('.'))]
    lines += ['.Sh SYNOPSIS', '.Nm ckpt' if parent else '.Nm'] + (['.Cm ' + name] if parent else [])
    lines += [synopsis(a) for a in arguments] + (['.Ar subcommand', '.Op Ar option ...'] if subcommands else [])
    lines += ['.Sh DESCRIPTION'] + paragraphs(command['abstract'])
    discussion = re.split(r'\n*Exit codes:', command.get('discussion', ''))[0]
    if discussion.strip():
        lines += ['.Pp'] + paragraphs(discussion)
    if subcommands:
        lines += ['.Bl -tag -width transforms']
        for subcommand in subcommands:
            lines += ['.It Cm ' + subcommand['commandName']] + paragraphs(subcommand['abstract']) + ['See', '.Xr ckpt\\-%s 1 .' % subcommand['commandName']]
        lines += ['.El']
    if arguments:
        lines += ['.Pp', 'Arguments and options:', '.Bl -tag -width Ds'] + [line for a in arguments for line in item(a)] + ['.El']
    if not parent:
        lines += ['.Sh ENVIRONMENT', '.Bl -tag -width NO_COLOR', '.It Ev NO_COLOR', 'Where it is set and not empty, nothing is coloured.', '.It Ev TERM',
                  'A terminal that is', '.Dq dumb', 'gets no colour.', '.It Ev COLORTERM', 'With', '.Dq truecolor', 'heat maps have all colours, otherwise 256.',
                  '.El']
    lines += ['.Sh EXIT STATUS', '.Bl -tag -width 130'] + [line for code, text in EXIT for line in ('.It ' + code, text)] + ['.El']
    if name in EXAMPLES:
        lines += ['.Sh EXAMPLES', '.Bd -literal'] + [escaped(line) for line in EXAMPLES[name]] + ['.Ed']
    others = [c['commandName'] for c in subcommands]
    lines += ['.Sh SEE ALSO']
    lines += ['.Xr ckpt\\-%s 1%s' % (other, ' ,' if other != sorted(others)[-1] else '') for other in sorted(others)] if others else ['.Xr ckpt 1']
    return full, '\n'.join(lines) + '\n', subcommands


def main():
    arguments = [a for a in sys.argv[1:] if a != '--check']
    command = arguments[0] if arguments else ROOT / '.build' / 'debug' / 'ckpt'
    dump = json.loads(subprocess.run([command, '--experimental-dump-help'], capture_output=True, text=True, check=True).stdout)
    name, text, subcommands = page(dump['command'])
    pages = {name: text}
    for subcommand in subcommands:
        full, text, _ = page(subcommand, name)
        pages[full] = text
    if '--check' in sys.argv:
        wrong = [n for n, t in pages.items() if not (FOLDER / (n + '.1')).exists() or (FOLDER / (n + '.1')).read_text() != t]
        wrong += [f.stem for f in FOLDER.glob('*.1') if f.stem not in pages]
        if wrong:
            sys.exit('docs/man is not in step with the command: %s; run scripts/python/generate_manual.py' % ', '.join(sorted(wrong)))
        return
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.glob('*.1'):
        file.unlink()
    for name, text in pages.items():
        (FOLDER / (name + '.1')).write_text(text)
    print('%d pages in %s' % (len(pages), FOLDER))


if __name__ == '__main__':
    main()
