#!/usr/bin/env bash
# Times transforms of files of BERT-large's size, without the proof, beside `cp` of the result on the same file
# system, in turns and warm. Prints medians, the ratio to cp, and peak memory, once more with the proof.
# CKPT is the built command, PYTHON one with h5py, numpy and safetensors.
set -euo pipefail
cd "$(dirname "$0")/.."
source Benchmarks/timing.sh
turns=${TURNS:-5}
mkdir -p .bench
work=$(mktemp -d .bench/transform.XXXXXX)
trap 'rm -rf "$work"' EXIT
"$python" Benchmarks/transform_data.py "$work"

fresh() { rm -rf "$work/out" "$work/copy" && mkdir "$work/out"; }

# compare NAME SOURCE TARGET STEPS…: the transform and cp of what it makes.
compare() {
  local name=$1 source=$2 target=$work/out/$3 log=$work/log
  shift 3
  rm -f "$log".*
  cat "$source"* >/dev/null 2>&1 || true
  for _ in $(seq "$turns"); do
    fresh
    once "$log.ckpt" "$CKPT" convert "$source" "$target" "$@" --no-verify --quiet
    once "$log.cp" cp "$target" "$work/copy"
  done
  row "$name" "$log.ckpt" "$log.cp"
  [ -n "${PROVE:-}" ] || return 0
  fresh
  once "$log.proof" "$CKPT" convert "$source" "$target" "$@" --quiet
  row "$name, proven" "$log.proof" "$log.cp"
}

compare 'untie (transformers → bert4keras)' "$work/model.safetensors" out.h5 --apply untie --to bert4keras
compare 'untie (transformers)' "$work/model.safetensors" out.safetensors --apply untie
compare 'widen-key-size 64 → 128 (bert4keras)' "$work/bert.h5" out.h5 --apply widen-key-size=128
compare 'widen-key-size, to safetensors' "$work/bert.h5" out.safetensors --apply widen-key-size=128
compare 'narrow-key-size 64 → 32' "$work/bert.h5" out.h5 --apply narrow-key-size=32
compare 'widen-ffn 4096 → 8192' "$work/bert.h5" out.h5 --apply widen-ffn=8192
