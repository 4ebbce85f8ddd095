"""Times a random encoder of BERT-base's size in torch and in ONNX Runtime, as the engine's peers.

Prints one line per library and size: name, batch, length, threads, median and minimum of the wall
time, and median of the processor time, in milliseconds. The model is transformers' BertModel, float32, inference mode; ONNX Runtime runs torch's export of the same module
with all its graph optimizations. Attention masks are given and are all ones, as the engine gets them.

Usage: engine_peers.py --threads N --rounds N [--sizes 1x16,1x128,8x128] [--only torch|onnxruntime]
Needs: pip install torch==2.13.0 onnxruntime==1.32.0 onnx==1.23.2 numpy transformers==5.23.0
"""

import argparse
import os
import statistics
import sys
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
parser.add_argument("--rounds", type=int, default=15)
parser.add_argument("--sizes", default="1x16,1x128,8x128")
parser.add_argument("--only", choices=["torch", "onnxruntime"])
options = parser.parse_args()
sizes = [tuple(map(int, size.split("x"))) for size in options.sizes.split(",")]
os.environ["OMP_NUM_THREADS"] = str(options.threads)

import torch  # noqa: E402
from transformers import BertConfig, BertModel  # noqa: E402

torch.manual_seed(1)
torch.set_num_threads(options.threads)
# BERT-base with a small vocabulary: the table is only gathered from.
model = BertModel(BertConfig(vocab_size=1000), add_pooling_layer=False).eval()


class Encoder(torch.nn.Module):
    """The same module with positional inputs and one output, as the exporter likes it."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, mask, segments):
        return self.model(
            input_ids=ids, attention_mask=mask, token_type_ids=segments
        ).last_hidden_state


def inputs(batch, length):
    ids = torch.randint(0, 1000, (batch, length))
    return ids, torch.ones_like(ids), torch.zeros_like(ids)


def report(name, batch, length, run):
    for _ in range(3):
        run()
    times, processor = [], []
    for _ in range(options.rounds):
        start, start_processor = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - start) * 1e3)
        processor.append((time.process_time() - start_processor) * 1e3)
    print(
        f"{name} {batch} {length} {options.threads}"
        f" {statistics.median(times):.3f} {min(times):.3f} {statistics.median(processor):.3f}",
        flush=True,
    )


def main():
    encoder = Encoder(model).eval()
    if options.only != "onnxruntime":
        with torch.inference_mode():
            for batch, length in sizes:
                data = inputs(batch, length)
                report("torch", batch, length, lambda: encoder(*data))
    if options.only != "torch":
        import onnxruntime

        session_options = onnxruntime.SessionOptions()
        session_options.intra_op_num_threads = options.threads
        session_options.inter_op_num_threads = 1
        names = ["ids", "mask", "segments"]
        with tempfile.TemporaryDirectory() as folder:
            # Exported once per size: fixed shapes let ONNX Runtime fold and fuse the most.
            for batch, length in sizes:
                path = os.path.join(folder, f"{batch}x{length}.onnx")
                data = inputs(batch, length)
                with torch.inference_mode():
                    torch.onnx.export(
                        encoder, data, path, input_names=names, output_names=["y"], dynamo=False,
                        opset_version=17,
                    )
                session = onnxruntime.InferenceSession(
                    path, session_options, providers=["CPUExecutionProvider"]
                )
                feed = {name: array.numpy() for name, array in zip(names, data)}
                got = session.run(None, feed)[0]
                with torch.inference_mode():
                    difference = abs(got - encoder(*data).numpy()).max()
                if difference > 1e-3:
                    sys.exit(f"onnxruntime differs from torch by {difference}")
                report("onnxruntime", batch, length, lambda: session.run(None, feed))


main()
