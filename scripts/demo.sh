#!/usr/bin/env bash
# The main job on a real model: a bert4keras ALBERT is inspected, untied, converted, proven and run.
set -euo pipefail
cd "$(dirname "$0")/.."
ckpt=$1
model=fixtures/tiny-albert
out=.demo
rm -rf "$out"
mkdir -p "$out"

# Shows a command and runs it.
show() {
  printf '\n$ ckpt %s\n' "$*"
  "$ckpt" "$@"
}

echo "A masked language model of 225,168 parameters, trained with bert4keras on Chinese reviews."
show info "$model/weights.h5"
show ls "$model/weights.h5" 'Transformer-*' --canonical
show convert "$model/weights.h5" "$out/transformers" --to huggingface --apply untie
show convert "$model/weights.h5" "$out/untied.h5" --to bert4keras --apply untie
show verify "$model/weights.h5" "$out/transformers"
show verify "$model/weights.h5" "$out/untied.h5"

sentences=()
while IFS= read -r line; do sentences+=("$line"); done < <(head -n 4 "$model/sentences.txt")
for result in "$model/weights.h5" "$out/transformers" "$out/untied.h5"; do
  show run "$result" --task fill-mask --top-k 3 "${sentences[@]}" | tee "$out/answers"
  grep '^  ' "$out/answers" >"$out/$(basename "$result").answers"
done

echo
for result in transformers untied.h5; do
  if ! diff "$out/weights.h5.answers" "$out/$result.answers" >/dev/null; then
    echo "The answers of $out/$result differ." >&2
    exit 1
  fi
done
echo "All three models give the same answers. The results are in $out/."
