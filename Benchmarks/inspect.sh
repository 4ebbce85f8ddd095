#!/usr/bin/env bash
# Times `ls` and `ls --stats` of a model of BERT-base's size (400 MB), warm, in turns beside what else reads
# or lists the same file: a C program that reads its bytes with all processors (read_memory.c), the usual Python
# scripts, h5ls, and for safetensors modelinfo-cli. Prints medians, minima, processor time and ratios.
# CKPT is the built command, PYTHON one with h5py, numpy and safetensors. h5ls is installed (Debian's
# hdf5-tools) where it is missing and the user is root, modelinfo-cli from PyPI into .bench.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
turns=${TURNS:-15}
mkdir -p .bench
work=$(mktemp -d .bench/inspect.XXXXXX)
trap 'rm -rf "$work"' EXIT

command -v h5ls >/dev/null || { [ "$(id -u)" = 0 ] && apt-get install -y hdf5-tools >/dev/null 2>&1; } \
  || echo "h5ls is not here: apt-get install hdf5-tools"
peer=.bench/modelinfo
[ -x "$peer/bin/modelinfo" ] || { "$python" -m venv "$peer" && "$peer/bin/pip" install -q modelinfo-cli==1.4.4; } \
  || echo "modelinfo-cli cannot be installed"

cc -O2 -o "$work/read_memory" Benchmarks/read_memory.c -lpthread
"$python" Benchmarks/convert_data.py "$work/model.h5" 400MB
"$CKPT" convert "$work/model.h5" "$work/model.safetensors" --no-verify --quiet
"$CKPT" convert "$work/model.h5" "$work/half.safetensors" --no-verify --quiet --dtype f16
"$CKPT" convert "$work/model.h5" "$work/bf16.safetensors" --no-verify --quiet --dtype bf16

CKPT="$CKPT" PEER="$peer/bin/modelinfo" "$python" - "$work" "$turns" "$python" <<'PY'
import os, shutil, statistics, subprocess, sys, time

work, turns, python = sys.argv[1], int(sys.argv[2]), sys.argv[3]
ckpt, peer = os.environ['CKPT'], os.environ['PEER']
file = lambda name: f'{work}/{name}'


def once(command):
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f'failed: {command}')
    return seconds * 1e3, (usage.ru_utime + usage.ru_stime) * 1e3, usage.ru_maxrss / 1e3


def table(title, rows, slow=()):
    """Turns of all rows; the first is what ratios are of. Slow ones have three turns."""
    rows = {name: command for name, command in rows.items() if shutil.which(command[0])}
    found = {name: [] for name in rows}
    for turn in range(turns):
        for name, command in rows.items():
            if turn < 3 or name not in slow:
                found[name].append(once(command))
    print(title)
    base = None
    for name, runs in found.items():
        wall, cpu, peak = statistics.median(r[0] for r in runs), min(r[1] for r in runs), max(r[2] for r in runs)
        base = base or wall
        print(f'  {name:44} {wall:8.1f} ms  least {min(r[0] for r in runs):8.1f}  {wall / base:6.2f} ×  processor {cpu:8.1f} ms  peak {peak:.0f} MB')


for name, size in (('model.h5', 'h5, f32'), ('model.safetensors', 'safetensors, f32')):
    path = file(name)
    read = [file('read_memory'), path, '1']
    mapped, own = subprocess.run([file('read_memory'), path, '20'], capture_output=True, text=True, check=True).stdout.split()
    print(f'reading {os.path.getsize(path) / 1e6:.0f} MB with all processors: {mapped} ms where they are mapped, {own} ms in own memory')
    lister = {'h5ls -r': ['h5ls', '-r', path]} if name.endswith('h5') else {'modelinfo': [peer, path]}
    table(f'listing {size}', {'ckpt ls': [ckpt, 'ls', path]} | lister | {'Python': [python, 'Benchmarks/inspect_peer.py', path]})
    table(
        f'statistics of {size}',
        {'reading its bytes with all processors': read, 'ckpt ls --stats': [ckpt, 'ls', path, '--stats'], 'Python': [python, 'Benchmarks/inspect_peer.py', path, 'stats']},
        slow={'Python'},
    )
for name, size in (('half.safetensors', 'safetensors, f16'), ('bf16.safetensors', 'safetensors, bf16')):
    path = file(name)
    table(
        f'statistics of {size}, {os.path.getsize(path) / 1e6:.0f} MB',
        {'reading its bytes with all processors': [file('read_memory'), path, '1'], 'ckpt ls --stats': [ckpt, 'ls', path, '--stats']},
    )
PY
