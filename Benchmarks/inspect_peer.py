"""What people write to look at weights: the tensors of an h5 or safetensors file, and with `stats` what
`ckpt ls --stats` says of them, by NumPy. Usage: inspect_peer.py FILE [stats]
"""
import sys

import numpy as np

path = sys.argv[1]
if path.endswith('.h5'):
    import h5py

    def tensors():
        with h5py.File(path) as file:
            found = []
            file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
            for name in found:
                yield name, file[name].dtype, file[name].shape, file[name]
else:
    from safetensors import safe_open

    def tensors():
        with safe_open(path, 'np') as file:
            for name in file.keys():
                part = file.get_slice(name)
                yield name, part.get_dtype(), part.get_shape(), part

for name, dtype, shape, values in tensors():
    line = [name, str(dtype), str(tuple(shape))]
    if 'stats' in sys.argv[2:]:
        x = values[:] if shape else values[()]
        finite = x[np.isfinite(x)].astype(np.float64)
        line += [
            finite.min(), finite.max(), finite.mean(), finite.std(), np.linalg.norm(finite), *np.quantile(finite, [0.01, 0.5, 0.99]),
            (x == 0).sum(), np.isnan(x).sum(), np.isinf(x).sum(), ((x != 0) & (abs(x) < np.finfo(x.dtype).tiny)).sum(),
            np.histogram(finite, 12)[0],
        ]
    print(*line)
