"""Times sentence encoding in torch and ONNX Runtime: transformers' fast tokenizer, batches sorted by length, mean pooling.

With --make it writes a random model of BERT-base's or MiniLM's size, a vocabulary of the corpus' characters and the
texts into the folder; without, it prints `library model seconds`, and says if the vectors differ from ckpt.npy.

Usage: encode_peers.py FOLDER --make base|minilm --corpus FILE --count N
       encode_peers.py FOLDER --threads N
Needs: pip install torch==2.13.0 onnxruntime==1.32.0 onnx==1.23.2 numpy transformers==5.23.0
"""

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("--make", choices=["base", "minilm"])
parser.add_argument("--corpus", type=Path)
parser.add_argument("--count", type=int)
parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
options = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(options.threads)
os.environ["RAYON_NUM_THREADS"] = str(options.threads)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from transformers import BertConfig, BertModel, BertTokenizer  # noqa: E402

torch.manual_seed(1)
torch.set_num_threads(options.threads)
LIMIT = 512
# As many tokens in a batch, padding among them, as ckpt puts together.
BATCH_TOKENS = 2048
SIZES = {"base": (768, 12, 12, 3072), "minilm": (384, 6, 12, 1536)}


def make():
    options.folder.mkdir(parents=True, exist_ok=True)
    lines = [line.strip() for line in options.corpus.read_text(errors="ignore").split("\n")]
    lines = [line for line in lines if line][:options.count]
    characters = [c for c, _ in Counter("".join(lines)).most_common(8000) if not c.isspace()]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + characters
    hidden, layers, heads, inner = SIZES[options.make]
    config = BertConfig(
        vocab_size=len(tokens), hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=inner)
    BertModel(config, add_pooling_layer=False).save_pretrained(options.folder)
    (options.folder / "vocab.txt").write_text("\n".join(tokens) + "\n")
    (options.folder / "texts.txt").write_text("\n".join(lines) + "\n")


def encode(tokenizer, texts, run):
    """The vectors of all texts, in order."""
    ids = tokenizer(texts, truncation=True, max_length=LIMIT)["input_ids"]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    vectors = [None] * len(ids)
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (end + 1 - start) * len(ids[order[end]]) <= BATCH_TOKENS:
            end += 1
        some = order[start:end]
        length = len(ids[some[-1]])
        tokens = np.zeros((len(some), length), "int64")
        mask = np.zeros((len(some), length), "int64")
        for row, i in enumerate(some):
            tokens[row, :len(ids[i])] = ids[i]
            mask[row, :len(ids[i])] = 1
        states = run(tokens, mask)
        pooled = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        for row, i in enumerate(some):
            vectors[i] = pooled[row]
        start = end
    return np.stack(vectors)


def report(name, tokenizer, texts, run):
    encode(tokenizer, texts[:32], run)
    start = time.perf_counter()
    vectors = encode(tokenizer, texts, run)
    print(name, options.folder.name.split("-")[-1], f"{time.perf_counter() - start:.3f}", flush=True)
    ours = options.folder / "ckpt.npy"
    if ours.exists():
        difference = abs(np.load(ours) - vectors).max()
        if not difference < 1e-4:
            sys.exit(f"{name} differs from ckpt by {difference}")


class Encoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, mask):
        return self.model(input_ids=ids, attention_mask=mask).last_hidden_state


def main():
    model = Encoder(BertModel.from_pretrained(options.folder, add_pooling_layer=False)).eval()
    tokenizer = BertTokenizer.from_pretrained(options.folder)
    texts = (options.folder / "texts.txt").read_text().split("\n")[:-1]
    with torch.inference_mode():
        report("torch", tokenizer, texts, lambda ids, mask: model(torch.from_numpy(ids), torch.from_numpy(mask)).numpy())
    import onnxruntime

    path = str(options.folder / "model.onnx")
    if not os.path.exists(path):
        with torch.inference_mode():
            torch.onnx.export(
                model, (torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long)), path,
                input_names=["ids", "mask"], output_names=["y"], dynamo=False, opset_version=17,
                dynamic_axes={name: {0: "batch", 1: "length"} for name in ["ids", "mask", "y"]})
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = options.threads
    session_options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, session_options, providers=["CPUExecutionProvider"])
    report("onnxruntime", tokenizer, texts, lambda ids, mask: session.run(None, {"ids": ids, "mask": mask})[0])


make() if options.make else main()
