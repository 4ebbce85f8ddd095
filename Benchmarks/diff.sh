#!/usr/bin/env bash
# Times `ckpt diff` on two files of BERT-base's size, warm, beside reading both (cat) and a script with safetensors
# and NumPy, in turns. CKPT is the built command, PYTHON one with safetensors and NumPy.
set -euo pipefail
cd "$(dirname "$0")/.."
source Benchmarks/timing.sh
turns=${TURNS:-5}
mkdir -p .bench
work=$(mktemp -d .bench/diff.XXXXXX)
trap 'rm -rf "$work"' EXIT

# differing COMMAND…: exit code 1 is what is expected of files that differ.
cat >"$work/differing" <<'SH'
#!/bin/sh
"$@"
[ $? -le 1 ]
SH
chmod +x "$work/differing"

"$python" Benchmarks/diff_data.py "$work"
a=$work/a.safetensors
echo "two files of $(stat -c %s "$a") bytes"
for other in same tuned half renamed; do
  b=$work/$other.safetensors
  guess=
  [ "$other" = renamed ] && guess=--guess
  cat "$a" "$b" >/dev/null
  log=$work/log.$other
  for _ in $(seq "$turns"); do
    once "$log.cat" cat "$a" "$b"
    once "$log.ckpt" "$work/differing" "$CKPT" diff "$a" "$b" --by name $guess --quiet
    [ "$other" = renamed ] || once "$log.python" "$python" Benchmarks/diff_peer.py "$a" "$b"
  done
  for who in ckpt python; do
    [ -e "$log.$who" ] || continue
    awk -v name="$other, $who" -v t="$(median "$log.$who")" -v cat="$(median "$log.cat")" -v peak="$(peak "$log.$who")" \
      'BEGIN { printf "%-20s %8.1f ms  %5.2f × cat of both  peak %s MB\n", name, t * 1000, t / cat, peak }'
  done
done
