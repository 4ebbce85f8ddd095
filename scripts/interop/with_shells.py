"""bash, zsh and fish offer subcommands, flags, values, files and names of tensors: real shells with the generated scripts."""
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from common import CKPT, FIXTURES, place, require, run_checks

MODEL = FIXTURES / 'tiny-albert' / 'weights.h5'
FOLDER = place('shells', 'bin', 'ckpt').parent
if not (FOLDER / 'ckpt').exists():
    (FOLDER / 'ckpt').symlink_to(CKPT)
ENVIRONMENT = {**os.environ, 'PATH': '%s:%s' % (FOLDER, os.environ['PATH']), 'HOME': str(FOLDER), 'LC_ALL': 'C.UTF-8', 'TERM': 'xterm'}


def script(shell):
    """The file that `ckpt --generate-completion-script` prints."""
    file = FOLDER.parent / {'bash': 'ckpt', 'zsh': '_ckpt', 'fish': 'ckpt.fish'}[shell]
    file.write_text(subprocess.run([CKPT, '--generate-completion-script', shell], capture_output=True, text=True, check=True).stdout)
    return file


def run(command, text=None):
    return subprocess.run(command, input=text, capture_output=True, text=True, env=ENVIRONMENT, cwd=FIXTURES, timeout=60)


def bash(line):
    """What stands in COMPREPLY after a tab at the end of the line; words as readline splits them."""
    # A quote that is open keeps its colons; elsewhere they are words of their own.
    words = line.split(' ') if "'" in line else line.replace(':', ' : ').replace('  ', ' ').split(' ')
    quoted = ' '.join("'%s'" % word.replace("'", "'\\''") for word in words)
    result = run(['bash', '--norc', '-c', '''
source "$1"
COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDS=(%s) COMP_CWORD=%d
"$(complete -p ckpt | sed 's/.*-F \\([^ ]*\\).*/\\1/')" ckpt "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%%s\\n' "${COMPREPLY[@]}"''' % (quoted, len(words) - 1), 'bash', str(script('bash')), line])
    require(not result.stderr, 'bash: %s' % result.stderr)
    return result.stdout.split('\n')[:-1]


ZSH = '''
PROMPT= RPROMPT=
fpath=(%(folder)s $fpath)
autoload -Uz compinit; compinit -u -D
compadd () {
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return $?; fi
  local -a hits
  builtin compadd -A hits "$@"
  (( $#hits )) && print -rl -- $hits >> %(found)s
}
finish () { unset 'compstate[vared]'; _main_complete "$@"; print -r -- DONE >> %(found)s; exit }
zle -C finish complete-word finish
bindkey '^I' finish
: > %(found)s
print -r -- READ''' + '''Y
'''


FISH = '''
function fish_prompt; end
function finish; complete -C (commandline -cp) > %(found)s; echo DONE >> %(found)s; end
source %(folder)s/ckpt.fish
bind \\t finish
echo READ''' + '''Y
'''


def interactive(command, setup, line):
    """What the shell's `setup` records at a tab, of an interactive shell with a terminal."""
    found, file = FOLDER.parent / 'found', FOLDER.parent / 'setup'
    file.write_text(setup % {'folder': FOLDER.parent, 'found': found})
    found.unlink(missing_ok=True)
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(FIXTURES)
        os.execvpe(command[0], command, ENVIRONMENT)
    os.write(terminal, ('source %s\n' % file).encode())
    sent, deadline, screen = False, time.monotonic() + 40, b''
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                screen += os.read(terminal, 65536)
            except OSError:
                break
        if not sent and b'READY' in screen:
            os.write(terminal, (line + '\t').encode())
            sent = True
        if sent and found.exists() and 'DONE\n' in found.read_text():
            break
    os.close(terminal)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    text = found.read_text() if found.exists() else ''
    require(text.endswith('DONE\n'), '%s did not answer: %r' % (command[0], screen[-500:]))
    return text.split('\n')[:-2]


def zsh(line):
    """What zsh adds to its matches: every call of compadd is recorded."""
    script('zsh')
    return interactive(['zsh', '-f', '-i'], ZSH, line)


def fish(line):
    script('fish')
    return [match.partition('\t')[0] for match in interactive(['fish', '--no-config'], FISH, line)]


STORED = 'Embedding-Token/Embedding-Token/embeddings:0'
CASES = [
    ('ckpt sh', ['show'], ['ls']),
    ('ckpt ', ['info', 'ls', 'convert'], []),
    ('ckpt show --he', ['--heat'], ['--hist']),
    ('ckpt convert --to hugg', ['huggingface'], ['google']),
    ('ckpt ls --format ', ['safetensors', 'keras-h5'], ['bert']),
    ('ckpt info --family alb', ['albert'], ['bert']),
    ('ckpt convert --apply unt', ['untie'], ['tie']),
    ('ckpt ls --sort ', ['name', 'size', 'file'], []),
    ('ckpt show tiny-albert/weights.h5 ', [STORED, 'embeddings.token'], ['weights.h5']),
    ('ckpt show tiny-albert/weights.h5 embeddings.p', ['embeddings.position', 'embeddings.projection.kernel'], ['embeddings.token']),
    ("ckpt ls tiny-albert/weights.h5 'Embedding-T", [STORED], ['Embedding-Norm/Embedding-Norm/beta:0']),
    ('ckpt convert tiny-albert/weights.h5 out --allow-drop MLM-B', ['MLM-Bias/MLM-Bias/beta:0'], [STORED]),
    ('ckpt run tiny-albert/weights.h5 --tap layers.0.attention.q', ['layers.0.attention.query'], ['layers.0.attention.key']),
    ('ckpt show no-such-file.h5 ', [], [STORED]),
    ('ckpt show tiny-albert/config.json ', [], [STORED]),
]


def offers(matches, wanted):
    """The shells quote and abbreviate in their own ways: a match is one that ends alike."""
    return any(match.strip("'").rstrip('= ') == wanted for match in matches)


def check(shell):
    for line, wanted, unwanted in CASES:
        matches = shell(line)
        for name in wanted:
            require(offers(matches, name), '"%s" does not offer %s but %s' % (line, name, matches[:8]))
        for name in unwanted:
            require(not offers(matches, name), '"%s" offers %s' % (line, name))
    files = shell('ckpt info tiny-albert/wei')
    require(any('weights.h5' in match for match in files) or shell is bash, 'no files are offered: %s' % files)
    return '%d lines completed' % (len(CASES) + 1)


def check_speed():
    start = time.monotonic()
    for _ in range(5):
        run([CKPT, '---completion', 'show', '--', 'positional@1', '3', '0', 'ckpt', 'show', str(MODEL), ''])
    seconds = (time.monotonic() - start) / 5
    require(seconds < 1, 'names come after %.2f s' % seconds)
    return 'names of tensors after %.0f ms' % (seconds * 1000)


def check_manual():
    """The manual has every command and option, and mandoc and man have nothing to say against it."""
    result = run([sys.executable, str(Path(__file__).resolve().parents[1] / 'python' / 'generate_manual.py'), '--check', CKPT])
    require(result.returncode == 0, result.stderr.strip())
    pages = sorted((Path(__file__).resolve().parents[2] / 'docs' / 'man').glob('*.1'))
    require(len(pages) > 10, 'only %d pages' % len(pages))
    for page in pages:
        lint = run(['mandoc', '-T', 'lint', '-W', 'warning', str(page)])
        require(not lint.stdout.strip() and lint.returncode == 0, lint.stdout.strip())
        result = run(['man', '--warnings', '-E', 'UTF-8', '-l', '-Tutf8', '-Z', str(page)])
        require(not result.stderr.strip(), '%s: %s' % (page.name, result.stderr.strip()))
    return '%d pages' % len(pages)


run_checks([('shells/bash', check, bash), ('shells/zsh', check, zsh), ('shells/fish', check, fish), ('shells/speed', check_speed),
            ('shells/manual', check_manual)])
