#!/usr/bin/env bash
# Times conversions of a BERT-base-sized file (about 400 MB), beside cp of the same bytes and the
# usual Python script, in turns; prints medians, the ratio to cp, and peak memory.
# CKPT is the built command, PYTHON one with h5py, numpy and safetensors.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
mkdir -p .bench
work=$(mktemp -d .bench/convert.XXXXXX)
trap 'rm -rf "$work"' EXIT

"$python" Benchmarks/convert_data.py "$work/model.h5"
"$CKPT" convert "$work/model.h5" "$work/model.safetensors" --no-verify --quiet
ls -l "$work" | awk 'NR > 1 { printf "%s: %.0f MB\n", $NF, $5 / 1e6 }'

# once NAME COMMAND…: seconds and peak KB of one run go to NAME's list.
once() {
  local name=$1
  shift
  rm -rf "$work/out"*
  /usr/bin/env "$python" - "$work/$name.times" "$@" <<'PY'
import os, subprocess, sys, time
log, command = sys.argv[1], sys.argv[2:]
start = time.perf_counter()
child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
seconds = time.perf_counter() - start
if status:
    sys.exit(f'failed: {command}')
with open(log, 'a') as file:
    file.write(f'{seconds} {usage.ru_maxrss}\n')
PY
}

for _ in 1 2 3 4 5; do
  once cp cp "$work/model.h5" "$work/out"
  once h5-to-safetensors "$CKPT" convert "$work/model.h5" "$work/out.safetensors" --no-verify
  once safetensors-to-h5 "$CKPT" convert "$work/model.safetensors" "$work/out.h5" --no-verify
  once python "$python" Benchmarks/convert_peer.py "$work/model.h5" "$work/out.safetensors"
  once ls "$CKPT" ls "$work/model.h5"
done

median() { sort -n "$work/$1.times" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
peak() { sort -k2 -n "$work/$1.times" | awk 'END { printf "%.0f", $2 / 1000 }'; }
cp=$(median cp)
for name in cp h5-to-safetensors safetensors-to-h5 python ls; do
  awk -v name="$name" -v t="$(median "$name")" -v cp="$cp" -v peak="$(peak "$name")" \
    'BEGIN { printf "%-20s %8.1f ms  %6.2f × cp  peak %s MB\n", name, t * 1000, t / cp, peak }'
done
