#!/usr/bin/env bash
# Times the engine, torch and ONNX Runtime on the same random encoder of BERT-base's size, in turns,
# and prints ratios: above 1 the engine is faster.
#
# Usage: Benchmarks/engine.sh [SIZES [THREADS [TURNS]]]     such as 1x16,1x128,8x128 2 3
# CKPT is the built command, PYTHON a Python with what engine_peers.py and convert_data.py need.
set -euo pipefail
cd "$(dirname "$0")/.."
sizes=${1:-1x16,1x128,8x128}
threads=${2:-$(nproc)}
turns=${3:-3}
python=${PYTHON:-python3}
mkdir -p .bench
model=.bench/base.h5
[ -f "$model" ] || "$python" Benchmarks/convert_data.py "$model"
echo '{"num_attention_heads": 12, "hidden_act": "gelu"}' >.bench/base.config.json
results=$(mktemp)
trap 'rm -f "$results"' EXIT

# One line a size, as engine_peers.py prints it: name, size, threads, wall median and minimum, and
# processor median in milliseconds.
engine() {
  local size
  for size in ${sizes//,/ }; do
    "$CKPT" bench "$model" --batch "${size%x*}" --length "${size#*x}" --threads "$threads" \
      --seconds 4 --json | "$python" -c '
import json, sys
r = json.load(sys.stdin)
times = [r[k] * 1e3 for k in ("median_seconds", "min_seconds", "median_processor_seconds")]
print("ckpt", r["batch"], r["length"], r["threads"], *(f"{t:.3f}" for t in times))'
  done
}

for turn in $(seq "$turns"); do
  # Turn about, so that what else the machine does falls on all of them.
  engine >>"$results"
  "$python" -W ignore Benchmarks/engine_peers.py --threads "$threads" --rounds 9 --sizes "$sizes" \
    2>/dev/null >>"$results"
done
cat "$results"
awk '
  { key = $2 "x" $3; n[$1, key]++; wall[$1, key, n[$1, key]] = $5; cpu[$1, key, n[$1, key]] = $7
    if (!(key in seen)) { seen[key] = 1; order[++keys] = key } }
  function median(name, key, field,   i, j, t, v, count) {
    count = n[name, key]
    for (i = 1; i <= count; i++) v[i] = field == 1 ? wall[name, key, i] : cpu[name, key, i]
    for (i = 2; i <= count; i++)
      for (j = i; j > 1 && v[j - 1] > v[j]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
    return v[int((count + 1) / 2)]
  }
  END {
    for (i = 1; i <= keys; i++) {
      key = order[i]
      printf "%s: %.1f ms", key, median("ckpt", key, 1)
      for (p = 1; p <= 2; p++) {
        name = p == 1 ? "torch" : "onnxruntime"
        if (n[name, key])
          printf "; %s takes %.2f × the time, %.2f × the processor time", name,
            median(name, key, 1) / median("ckpt", key, 1),
            median(name, key, 2) / median("ckpt", key, 2)
      }
      print ""
    }
  }' "$results"
