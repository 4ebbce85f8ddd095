#!/usr/bin/env bash
# Times whole Keras models (keras.applications, random weights): as they are, with their batch normalizations folded by
# `convert --apply fold-batchnorm`, and in Keras on TensorFlow (a compiled function), in turns.
#
# Usage: Benchmarks/keras.sh [MODELS [BATCHES [THREADS [TURNS]]]]     such as MobileNetV2,ResNet50 1,8 2 3
# CKPT is the built command, KERAS a Python with Keras 2.15.
set -euo pipefail
cd "$(dirname "$0")/.."
models=${1:-MobileNetV2,ResNet50,Xception,DenseNet121}
batches=${2:-1,8}
threads=${3:-$(nproc)}
turns=${4:-3}
keras=${KERAS:-.venv/keras2/bin/python}
export TF_CPP_MIN_LOG_LEVEL=3
mkdir -p .bench/keras
results=$(mktemp)
trap 'rm -f "$results"' EXIT

for name in ${models//,/ }; do
  whole=.bench/keras/$name.h5 folded=.bench/keras/$name.folded.h5
  [ -f "$whole" ] || "$keras" -W ignore Benchmarks/keras_peers.py model "$name" "$whole" 2>/dev/null
  "$CKPT" convert "$whole" "$folded" --apply fold-batchnorm --overwrite --no-verify --quiet
done
# A line for each run: what, model, batch, median milliseconds.
for turn in $(seq "$turns"); do
  for name in ${models//,/ }; do
    for batch in ${batches//,/ }; do
      for form in '' .folded; do
        "$CKPT" bench ".bench/keras/$name$form.h5" --batch "$batch" --threads "$threads" --seconds 2 --json |
          python3 -c 'import json, sys; print(*sys.argv[1:], json.load(sys.stdin)["median_seconds"] * 1e3)' \
            "ckpt$form" "$name" "$batch" >>"$results"
      done
      "$keras" -W ignore Benchmarks/keras_peers.py run ".bench/keras/$name.h5" "$name" "$batch" "$threads" 2>/dev/null >>"$results"
    done
  done
done
awk '
  { key = $2 " " $3; times[$1 " " key] = times[$1 " " key] " " $4
    if (!(key in seen)) { seen[key] = 1; order[++count] = key } }
  # The middle of what the turns measured.
  function middle(list,   parts, n, i, j, t) {
    n = split(list, parts, " ")
    for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (parts[j] + 0 < parts[i] + 0) { t = parts[i]; parts[i] = parts[j]; parts[j] = t }
    return parts[int((n + 1) / 2)]
  }
  END {
    printf "%-22s %12s %20s %20s\n", "model × batch", "ckpt", "folded", "Keras (TensorFlow)"
    for (i = 1; i <= count; i++) {
      split(order[i], k, " ")
      c = middle(times["ckpt " order[i]]); f = middle(times["ckpt.folded " order[i]]); t = middle(times["keras " order[i]])
      printf "%-22s %9.1f ms %9.1f ms %5.2f× %9.1f ms %5.2f×\n", k[1] " × " k[2], c, f, c / f, t, t / c
    }
  }' "$results"
