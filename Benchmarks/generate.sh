#!/usr/bin/env bash
# Times greedy generation of 64 tokens behind 64 with random models of published sizes, in turns: ckpt
# with and without its key/value cache, and transformers in torch with its own.
#
# Usage: Benchmarks/generate.sh [THREADS [TURNS]]
# CKPT is the built command, PYTHON a Python with what generate_peers.py needs.
set -euo pipefail
cd "$(dirname "$0")/.."
threads=${1:-$(nproc)}
turns=${2:-3}
python=${PYTHON:-python3}
folder=.bench/generate
mkdir -p "$folder"
[ -f "$folder/t5/model.safetensors" ] || "$python" -W ignore Benchmarks/generate_peers.py write "$folder"
results=$(mktemp)
trap 'rm -f "$results"' EXIT

# engine WAY MODEL OPTIONS…: WAY, MODEL and seconds of a whole generation.
engine() {
  local way=$1 model=$2
  shift 2
  "$CKPT" bench "$folder/$model" --length 64 --generate 64 --threads "$threads" --seconds 4 "$@" \
    --json | "$python" -c '
import json, sys
print(sys.argv[1], sys.argv[2], json.load(sys.stdin)["median_seconds"])' "$way" "$model"
}

for turn in $(seq "$turns"); do
  # Turn about, so that what else the machine does falls on all of them.
  for model in gpt2 bert t5; do
    mask=$([ "$model" = bert ] && echo "--mask unilm" || true)
    engine cached "$model" $mask
    engine uncached "$model" $mask --no-cache
  done >>"$results"
  "$python" -W ignore Benchmarks/generate_peers.py time "$folder" "$threads" 3 64 64 2>/dev/null |
    sed 's/^/torch /' >>"$results"
done
awk '
  { n[$1, $2]++; seconds[$1, $2, n[$1, $2]] = $3 }
  function median(way, model,   i, j, t, v, count) {
    count = n[way, model]
    for (i = 1; i <= count; i++) v[i] = seconds[way, model, i]
    for (i = 2; i <= count; i++)
      for (j = i; j > 1 && v[j - 1] > v[j]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
    return v[int((count + 1) / 2)]
  }
  END {
    split("gpt2 bert t5", models, " ")
    for (i = 1; i <= 3; i++) {
      model = models[i]
      own = median("cached", model)
      printf "%-4s  %.2f s, %.1f tokens/s; uncached takes %.1f × the time, torch with its cache %.2f ×\n",
        model, own, 64 / own, median("uncached", model) / own, median("torch", model) / own
    }
  }' "$results"
