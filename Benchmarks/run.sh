#!/usr/bin/env bash
# Every benchmark, side by side with what users would use instead. CKPT is the built command.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/python/venv.sh torch
echo "== the engine beside torch and ONNX Runtime (a random encoder of BERT-base's size)"
PYTHON=.venv/torch/bin/python Benchmarks/engine.sh
echo "== generation with and without the key/value cache, beside transformers in torch"
PYTHON=.venv/torch/bin/python Benchmarks/generate.sh
echo "== sentence encoding of real text beside torch and ONNX Runtime"
scripts/python/venv.sh keras2
PYTHON=.venv/torch/bin/python Benchmarks/encode.sh
echo "== conversion beside cp and Python"
PYTHON=.venv/torch/bin/python Benchmarks/convert.sh
echo "== comparing two files beside reading them and NumPy"
PYTHON=.venv/torch/bin/python Benchmarks/diff.sh
echo "== transforms of BERT-large's size beside cp of the result"
PYTHON=.venv/torch/bin/python Benchmarks/transform.sh
echo "== ls and ls --stats beside reading the bytes, Python, h5ls and modelinfo"
PYTHON=.venv/torch/bin/python Benchmarks/inspect.sh
echo "== text to ids beside the tokenizers package"
PYTHON=.venv/torch/bin/python Benchmarks/tokenize.sh
echo "== best paths of a CRF beside bert4keras' decoder and torchcrf"
KERAS=.venv/keras2/bin/python PYTHON=.venv/torch/bin/python Benchmarks/viterbi.sh
echo "== Keras models with and without their batch normalizations, beside Keras on TensorFlow"
KERAS=.venv/keras2/bin/python Benchmarks/keras.sh
