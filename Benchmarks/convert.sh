#!/usr/bin/env bash
# Times conversions, names as they are and without the proof, beside `cp` of the same bytes on the same
# file system, in turns: warm (in the page cache) and cold (the source is put out of it before each run). Prints
# medians, the ratio to cp, and peak memory; then how long listing takes.
# CKPT is the built command, PYTHON one with h5py, numpy, safetensors and torch. SIZES: 400MB 4GB.
set -euo pipefail
cd "$(dirname "$0")/.."
source Benchmarks/timing.sh
turns=${TURNS:-5}
mkdir -p .bench
work=$(mktemp -d .bench/convert.XXXXXX)
trap 'rm -rf "$work"' EXIT

evict() { sync && dd if="$1" iflag=nocache count=0 status=none; }

# compare SOURCE TARGET: cp and ckpt in turns, warm and cold. A bundle's bytes are in its data file.
compare() {
  local source=$1 target=$2 bytes=$1 name state log
  [ -e "$bytes" ] || bytes=$1.data-00000-of-00001
  name="${source##*.} → ${target##*.}"
  for state in warm cold; do
    log=$work/log
    rm -f "$log".*
    [ "$state" = warm ] && cat "$bytes" >/dev/null
    for _ in $(seq "$turns"); do
      rm -f "$work/copy"
      [ "$state" = warm ] || evict "$bytes"
      once "$log.cp" cp "$bytes" "$work/copy"
      rm -f "$work/copy" "$target"
      [ "$state" = warm ] || evict "$bytes"
      once "$log.ckpt" "$CKPT" convert "$source" "$target" --no-verify --quiet
      rm -f "$target"
    done
    row "$name, $state" "$log.ckpt" "$log.cp"
  done
}

for size in ${SIZES:-400MB 4GB}; do
  "$python" Benchmarks/convert_data.py "$work/model.h5" "$size"
  "$CKPT" convert "$work/model.h5" "$work/model.safetensors" --no-verify --quiet
  "$CKPT" convert "$work/model.h5" "$work/model.pt" --no-verify --quiet
  "$CKPT" convert "$work/model.h5" "$work/model.tf" --format tf --no-verify --quiet
  echo "$size: $(stat -c %s "$work/model.h5") bytes"
  compare "$work/model.h5" "$work/out.safetensors"
  compare "$work/model.safetensors" "$work/out.h5"
  compare "$work/model.tf" "$work/out.safetensors"
  compare "$work/model.pt" "$work/out.safetensors"
  if [ "$size" = 400MB ]; then
    rm -f "$work/log".*
    for _ in $(seq "$turns"); do
      once "$work/log.cp" cp "$work/model.h5" "$work/copy"
      for source in h5 pt; do
        rm -f "$work/copy" "$work/out.safetensors"
        once "$work/log.$source" "$python" Benchmarks/convert_peer.py "$work/model.$source" \
          "$work/out.safetensors"
      done
    done
    row "Python: h5 → safetensors, warm" "$work/log.h5" "$work/log.cp"
    row "Python: pt → safetensors, warm" "$work/log.pt" "$work/log.cp"
    for file in model.h5 model.safetensors model.tf model.pt; do
      rm -f "$work/log".*
      for _ in $(seq "$turns"); do once "$work/log.ls" "$CKPT" ls "$work/$file"; done
      awk -v name="ls ${file##*.}" -v t="$(median "$work/log.ls")" -v peak="$(peak "$work/log.ls")" \
        'BEGIN { printf "%-34s %8.1f ms  peak %s MB\n", name, t * 1000, peak }'
    done
  fi
  rm -f "$work"/*
done
