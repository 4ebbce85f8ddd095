#!/usr/bin/env bash
# Times the best paths of a CRF: ckpt, bert4keras' ViterbiDecoder (NumPy) and torchcrf's decode, on scores of the same size, in
# turns, and prints ratios: above 1 ckpt is faster. Without the encoder.
#
# Usage: Benchmarks/viterbi.sh [LABELS [SIZES [THREADS [TURNS]]]]     such as 4,31 1x128,32x128 2 3
# CKPT is the built command, KERAS a Python with bert4keras, PYTHON one with torch (pytorch-crf is installed into .bench).
set -euo pipefail
cd "$(dirname "$0")/.."
labels=${1:-4,31,101}
sizes=${2:-1x128,32x128,256x128}
threads=${3:-$(nproc)}
turns=${4:-3}
python=${PYTHON:-.venv/torch/bin/python}
keras=${KERAS:-.venv/keras2/bin/python}
mkdir -p .bench
results=$(mktemp)
trap 'rm -f "$results"' EXIT
[ -d .bench/pytorch-crf ] ||
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps --target .bench/pytorch-crf pytorch-crf==0.7.2

for number in ${labels//,/ }; do
  [ -f ".bench/crf-$number/model.h5" ] ||
    TF_CPP_MIN_LOG_LEVEL=3 "$keras" -W ignore Benchmarks/viterbi_peers.py model "$number" ".bench/crf-$number" 2>/dev/null
done
# One line for each size: name, labels, batch, length, median milliseconds.
for turn in $(seq "$turns"); do
  for number in ${labels//,/ }; do
    for size in ${sizes//,/ }; do
      "$CKPT" bench ".bench/crf-$number/model.h5" --viterbi --batch "${size%x*}" --length "${size#*x}" \
        --threads "$threads" --seconds 1 --json | "$python" -c '
import json, sys
r = json.load(sys.stdin)
print("ckpt", r["labels"], r["batch"], r["length"], r["median_seconds"] * 1e3)' >>"$results"
      "$python" -W ignore Benchmarks/viterbi_peers.py torchcrf "$number" "$size" "$threads" >>"$results"
      TF_CPP_MIN_LOG_LEVEL=3 "$keras" -W ignore Benchmarks/viterbi_peers.py bert4keras "$number" "$size" 2>/dev/null >>"$results"
    done
  done
done
awk '
  { key = $2 " " $3 " " $4; name = $1 " " key; times[name] = times[name] " " $5
    if (!(key in seen)) { seen[key] = 1; order[++count] = key } }
  # The middle of what the turns measured.
  function middle(list,   parts, n, i, j, t) {
    n = split(list, parts, " ")
    for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (parts[j] + 0 < parts[i] + 0) { t = parts[i]; parts[i] = parts[j]; parts[j] = t }
    return parts[int((n + 1) / 2)]
  }
  END {
    printf "%-24s %12s %22s %22s\n", "labels batch×length", "ckpt", "bert4keras (NumPy)", "torchcrf"
    for (i = 1; i <= count; i++) {
      split(order[i], k, " ")
      c = middle(times["ckpt " order[i]]); b = middle(times["bert4keras " order[i]]); t = middle(times["torchcrf " order[i]])
      printf "%-24s %9.3f ms %12.2f ms %5.0f× %12.2f ms %5.0f×\n", k[1] " " k[2] "×" k[3], c, b, b / c, t, t / c
    }
  }' "$results"
