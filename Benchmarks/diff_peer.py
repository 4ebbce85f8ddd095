"""What a script would print of two safetensors files: per tensor max |Δ|, cosine and differing elements.

Usage: diff_peer.py A B
"""
import sys

import numpy as np
from safetensors import safe_open

with safe_open(sys.argv[1], 'np') as a, safe_open(sys.argv[2], 'np') as b:
    for name in a.keys():
        x, y = a.get_tensor(name).astype('float32').ravel(), b.get_tensor(name).astype('float32').ravel()
        delta = np.abs(x - y)
        place = int(delta.argmax())
        cosine = float(x @ y / np.sqrt((x @ x) * (y @ y)))
        print(name, float(delta[place]), place, cosine, int((x != y).sum()), float(np.linalg.norm(delta) / np.linalg.norm(x)))
