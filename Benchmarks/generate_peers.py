"""Makes random models of published sizes, or times transformers' generation with them in torch.

    generate_peers.py write FOLDER            gpt2, bert and t5, as save_pretrained leaves them
    generate_peers.py time FOLDER THREADS ROUNDS PROMPT TOKENS

The second prints one line a model: name, seconds of a whole generation (median), greedy, with the
key/value cache. BERT generates under the causal mask, because transformers knows no UniLM mask; the
work of a step is the same.
Needs: pip install torch==2.13.0 transformers==5.23.0
"""

import pathlib
import statistics
import sys
import time

import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertLMHeadModel,
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
)

folder = pathlib.Path(sys.argv[2])


def write():
    torch.manual_seed(1)
    # The sizes of gpt2, bert-base-chinese and t5-base.
    t5 = T5Config(d_model=768, d_ff=3072, num_layers=12, num_heads=12, decoder_start_token_id=0)
    GPT2LMHeadModel(GPT2Config()).save_pretrained(folder / "gpt2")
    BertForMaskedLM(BertConfig(vocab_size=21128)).save_pretrained(folder / "bert")
    T5ForConditionalGeneration(t5).save_pretrained(folder / "t5")


def measure(threads, rounds, prompt, tokens):
    torch.set_num_threads(threads)
    models = {
        "gpt2": lambda path: GPT2LMHeadModel.from_pretrained(path),
        "bert": lambda path: BertLMHeadModel.from_pretrained(path, is_decoder=True),
        "t5": lambda path: T5ForConditionalGeneration.from_pretrained(path),
    }
    for name, load in models.items():
        model = load(folder / name).eval()
        ids = torch.randint(1, 20000, (1, prompt))
        options = dict(
            attention_mask=torch.ones_like(ids), max_new_tokens=tokens, min_new_tokens=tokens,
            do_sample=False, num_beams=1, use_cache=True, pad_token_id=0,
        )
        times = []
        with torch.inference_mode():
            for _ in range(rounds + 1):
                start = time.perf_counter()
                model.generate(ids, **options)
                times.append(time.perf_counter() - start)
        print(name, f"{statistics.median(times[1:]):.4f}", flush=True)


if sys.argv[1] == "write":
    write()
else:
    measure(*map(int, sys.argv[3:7]))
