"""The examples of README.md print what it shows: each `$ ckpt …` is run on a terminal, in order, beside the fixtures.

`…` on a line of its own stands for any lines, also at the end of a block, and inside a line for anything. Measured rounding differences, which depend on
the processor, may be up to four times larger or smaller; nothing else may differ.
"""
import fcntl
import os
import pty
import re
import shlex
import shutil
import struct
import subprocess
import termios

from common import CKPT, FIXTURES, ROOT, place, require, run_checks

WORK = place('readme', 'fixtures').parent
MEASURED = re.compile(r'\b\d\.\de-\d\d\b')


def blocks():
    """(first line, text) of each block that begins with a prompt."""
    found = []
    for match in re.finditer(r'^```\w*\n(.*?)^```$', (ROOT / 'README.md').read_text(), re.M | re.S):
        if match[1].startswith('$ '):
            found.append((match[1].partition('\n')[0][2:], match[1]))
    return found


def run(command, folder):
    """What a wide terminal without colour shows of it; with `| cat`, what a pipe gets."""
    if command.endswith(' | cat'):
        words = shlex.split(command[:-len(' | cat')])
        return subprocess.run([CKPT] + words[1:], capture_output=True, text=True, cwd=folder).stdout.split('\n')[:-1]
    terminal, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack('HHHH', 50, 1000, 0, 0))
    words = shlex.split(command)
    require(words[0] == 'ckpt', 'the example does not begin with ckpt')
    process = subprocess.Popen([CKPT] + words[1:], stdin=subprocess.DEVNULL, stdout=other, stderr=other, cwd=folder,
                               env={**os.environ, 'NO_COLOR': '1', 'TERM': 'xterm'})
    os.close(other)
    text = b''
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        text += part
    os.close(terminal)
    process.wait(600)
    # Bars of progress go when they are done.
    return re.sub(r'\r[^\n]*?\x1b\[K', '', text.decode().replace('\r\n', '\n')).split('\n')[:-1]


def same(shown, printed):
    if shown == printed:
        return True
    if '…' in shown:
        return re.fullmatch('.*'.join(map(re.escape, MEASURED.sub('#', shown).split('…'))), MEASURED.sub('#', printed)) is not None
    if MEASURED.sub('#', shown) != MEASURED.sub('#', printed):
        return False
    return all(float(a) <= 4 * float(b) and float(b) <= 4 * float(a) for a, b in zip(MEASURED.findall(shown), MEASURED.findall(printed)))


def compare(command, shown, printed):
    """Each run of lines between two omissions stands in what was printed, in order."""
    place, is_free = 0, False
    for number, line in enumerate(shown):
        if line.strip() == '…':
            is_free = True
            continue
        start = place
        while is_free and place < len(printed) and not same(line, printed[place]):
            place += 1
        require(place < len(printed) and same(line, printed[place]),
                '$ %s\nREADME, line %d: %s\nprinted: %s' % (command, number + 1, line, '\n'.join(printed[start:start + 3]) or '(nothing more)'))
        place, is_free = place + 1, False
    require(is_free or place == len(printed), '$ %s\nprints more than the README shows: %s' % (command, '\n'.join(printed[place:place + 3])))


def check(text):
    folder, count = WORK, 0
    lines = text.split('\n')[:-1]
    while lines:
        command, shown = lines.pop(0)[2:], []
        while lines and not lines[0].startswith('$ '):
            shown.append(lines.pop(0))
        if command.startswith('cd '):
            folder = folder / command[3:]
            continue
        compare(command, shown, run(command, folder))
        count += 1
    return '%d commands print what is shown' % count


shutil.rmtree(WORK, ignore_errors=True)
WORK.mkdir(parents=True)
(WORK / 'fixtures').symlink_to(FIXTURES)
run_checks([('readme/%s' % name, check, text) for name, text in blocks()])
