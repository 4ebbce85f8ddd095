#!/bin/sh
# Python peers load what ckpt wrote, and ckpt loads what they wrote. A line for each check; at the end how many passed
# and failed. Exit code 1 when one failed.
# Usage: scripts/interop/run.sh [WORD...]     only checks whose name holds one of the words
#   CKPT=…         the command to check; otherwise .build/release/ckpt is built
#   CHROMIUM=…     the browser, where it has another name; Debian's is installed when there is none
#   INTEROP_TRACE  with any value: Python's traces of what failed
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"

peers='torch:with_transformers torch:with_transformers_families torch:with_transformers_embeddings torch:with_safetensors torch:with_numpy torch:with_statistics torch:with_torch torch:with_onnx
torch:with_tokenizers keras2:with_bert4keras_tokenizers
torch:with_transforms_heads_torch torch:with_transforms_layers torch:with_health torch:with_diff torch:with_torchcrf
keras2:with_bert4keras keras2:with_bert4keras_families keras2:with_bert4keras_heads keras2:with_labelling keras2:with_transforms_heads
keras2:with_transforms_keysize keras2:with_transforms_layers_bert4keras keras2:with_bert4keras_tokens keras2:with_google keras2:with_keras_bert torch:with_tasks keras2:with_bert4keras_tasks torch:with_generate keras2:with_bert4keras_generate
keras2:with_keras keras2:with_tensorflow keras3:with_keras3 keras2:with_sampling keras3:with_sampling keras2:with_keras_summary keras3:with_keras_summary keras2:with_keras_layers keras3:with_keras_layers keras2:with_keras_nodes
keras2:with_keras_models keras3:with_keras_models keras2:with_bert4keras_whole formats:with_gguf formats:with_flax
formats:with_show formats:with_shells formats:with_readme browser:with_browser'

if [ -z "${CKPT:-}" ]; then
    swift build -c release --product ckpt
    CKPT=$root/.build/release/ckpt
fi
case $CKPT in /*) ;; *) CKPT=$root/$CKPT ;; esac
[ -x "$CKPT" ] || { echo "$0: CKPT=$CKPT cannot be run" >&2; exit 64; }
INTEROP_WORK=$root/.interop
PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore TF_CPP_MIN_LOG_LEVEL=3
export CKPT INTEROP_WORK PYTHONDONTWRITEBYTECODE PYTHONWARNINGS TF_CPP_MIN_LOG_LEVEL

missing=
# need COMMAND PACKAGE...: packages that are installed when there is no such command.
need() {
    if ! command -v "$1" >/dev/null; then
        shift
        missing="$missing $*"
    fi
}
# The shells that completions are tried in, two readers of manuals, and the browser that opens the pages of `report`.
need bash bash
need zsh zsh
need fish fish
need mandoc mandoc
need man man-db
[ -n "${CHROMIUM:-}" ] || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    need chromium chromium fonts-noto-cjk
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || { echo "$0: install$missing (Debian's names)" >&2; exit 2; }
    echo "Installing with apt-get:$missing"
    sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

for name in $(printf '%s\n' $peers | sed 's/:.*//' | sort -u); do
    scripts/python/venv.sh "$name"
done
rm -rf "$INTEROP_WORK"
mkdir -p "$INTEROP_WORK"
log=$INTEROP_WORK/log

for peer in $peers; do
    {
        status=0
        ".venv/${peer%%:*}/bin/python" "$here/${peer#*:}.py" "$@" || status=$?
        # 3 says that checks failed, which have their lines; anything else is a failure of its own.
        [ "$status" -eq 0 ] || [ "$status" -eq 3 ] || echo "FAIL  ${peer#*:} ended with status $status"
    } | tee -a "$log"
done

passed=$(grep -c '^ok  ' "$log" || true)
failed=$(grep -c '^FAIL  ' "$log" || true)
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
