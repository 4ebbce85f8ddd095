"""`ckpt ls --stats` says what NumPy says, of larger tensors in several formats."""
import subprocess
import sys

import h5py
import numpy as np
import torch
from safetensors.torch import save_file

from common import CKPT, ckpt, place, require, run_checks

# Elements about the sizes of blocks (1,024), pieces (256 KB) and parts (4 MB) in bytes of two to eight.
SIZES = [1023, 1025, 65535, 65537, 131073, 524287, 1048575, 1048577, 2097153]
MOMENTS = 1e-6
TYPES = {'f32': torch.float32, 'f64': torch.float64, 'f16': torch.float16, 'bf16': torch.bfloat16,
         'i64': torch.int64, 'i32': torch.int32, 'i16': torch.int16, 'i8': torch.int8, 'u8': torch.uint8, 'bool': torch.bool}
LEAST_NORMAL = {'f32': 2.0**-126, 'f64': 2.0**-1022, 'f16': 2.0**-14, 'bf16': 2.0**-126}


def numbers(dtype, size, seed):
    """Ordinary numbers, with odd ones of a float type among them."""
    rng = np.random.default_rng(seed)
    if dtype == 'bool':
        return torch.from_numpy(rng.random(size) < 0.1)
    if dtype[0] in 'iu':
        return torch.from_numpy(rng.integers(0 if dtype == 'u8' else -100, 100, size)).to(TYPES[dtype])
    values = torch.from_numpy(rng.standard_normal(size) * 0.05 + 0.01).to(TYPES[dtype])
    odd = [np.nan, np.inf, -np.inf, 0.0, -0.0, LEAST_NORMAL[dtype] / 2, -LEAST_NORMAL[dtype]]
    places = rng.choice(size, min(size // 10, 70), replace=False)
    for index, where in enumerate(places):
        values[where] = odd[index % len(odd)]
    return values


def close(name, key, found, wanted, scale=0.0):
    difference = abs(found - float(wanted))
    require(difference <= MOMENTS * abs(float(wanted)) or difference <= 1e-12 * scale, '%s: %s is %r, not %r' % (name, key, found, float(wanted)))


def compare(name, dtype, stats, values):
    """Counts and extremes exactly, moments to 1e-6, quantiles within what a sample of that size allows."""
    wide = values.to(torch.float64).numpy().reshape(-1)
    finite = wide[np.isfinite(wide)]
    zeros = finite == 0
    small = LEAST_NORMAL.get(dtype, 0)
    counts = {
        'count': wide.size, 'finite': finite.size, 'nan': int(np.isnan(wide).sum()),
        'positive_infinite': int(np.isposinf(wide).sum()), 'negative_infinite': int(np.isneginf(wide).sum()),
        'zeros': int(zeros.sum()), 'negative_zeros': int(np.signbit(finite[zeros]).sum()),
        'subnormals': int((~zeros & (abs(finite) < small)).sum()),
        'min': finite.min(), 'max': finite.max(),
    }
    for key, wanted in counts.items():
        require(stats[key] == wanted, '%s: %s is %r, not %r' % (name, key, stats[key], wanted))
    scale = abs(finite).max()
    close(name, 'mean', stats['mean'], finite.mean(dtype=np.longdouble), scale)
    close(name, 'std', stats['std'], finite.std(dtype=np.longdouble))
    close(name, 'norm', stats['norm'], np.sqrt((finite.astype(np.longdouble) ** 2).sum()))
    ordered = np.sort(finite)
    for key, share in (('p1', 0.01), ('median', 0.5), ('p99', 0.99)):
        if stats['exact_quantiles']:
            close(name, key, stats[key], np.quantile(finite, share), scale)
            continue
        # The ranks that the value may have, since integers repeat; five standard deviations of a sample's.
        low, high = np.searchsorted(ordered, stats[key]), np.searchsorted(ordered, stats[key], 'right')
        slack = 5 * np.sqrt(share * (1 - share) / stats['sample']) + 1 / stats['sample']
        require(low / finite.size - slack <= share <= high / finite.size + slack, '%s: %s is %r' % (name, key, stats[key]))
    require(sum(stats['histogram']['bins']) == stats['sample'], '%s: the histogram is not of the sample' % name)


def found(path, *options):
    tensors = ckpt('ls', path, '--stats', *options)['tensors']
    return {tensor['name']: tensor['stats'] for tensor in tensors}


def check_type(dtype):
    """Every size, in safetensors and in PyTorch's zip."""
    tensors = {'n%d' % size: numbers(dtype, size, size) for size in SIZES}
    path = place('statistics', '%s.safetensors' % dtype)
    save_file(tensors, path)
    zipped = place('statistics', '%s.pt' % dtype)
    torch.save(tensors, zipped)
    stats, same = found(path), found(zipped)
    for name, values in tensors.items():
        compare(name, dtype, stats[name], values)
        require(stats[name] == same[name], '%s: the zip has other statistics' % name)
    return '%d sizes, twice' % len(SIZES)


def check_hdf5():
    """Contiguous, and in packed chunks that no piece fits; the same numbers to the last bit."""
    values = numbers('f32', 3_000_017, 3)
    path = place('statistics', 'packed.h5')
    with h5py.File(path, 'w') as file:
        file['plain'] = values.numpy()
        file.create_dataset('packed', data=values.numpy(), chunks=(70001,), compression='gzip', compression_opts=1)
        file['big-endian'] = values.numpy().astype('>f4')
    stats = found(path)
    compare('plain', 'f32', stats['plain'], values)
    require(stats['plain'] == stats['packed'], 'packed: other statistics')
    require(stats['plain'] == stats['big-endian'], 'big-endian: other statistics')
    return 'equal in chunks and in big-endian order'


def check_views():
    """Transposed and strided views as torch stores them."""
    base = numbers('f32', 1_200_000, 4).reshape(1000, 1200)
    path = place('statistics', 'views.pt')
    torch.save({'whole': base, 'turned': base.T, 'part': base[:, ::3]}, path)
    stats = found(path)
    compare('whole', 'f32', stats['whole'], base)
    compare('turned', 'f32', stats['turned'], base)
    compare('part', 'f32', stats['part'], base[:, ::3])
    return 'turned and every third column'


def check_complex():
    rng = np.random.default_rng(6)
    values = torch.from_numpy((rng.standard_normal(700_001) + 1j * rng.standard_normal(700_001)).astype(np.complex64))
    path = place('statistics', 'complex.safetensors')
    save_file({'c': values}, path)
    compare('c', 'f32', found(path)['c'], torch.view_as_real(values))
    return 'a complex number counts as two'


def check_memory():
    """A file of 400 MB is not held in memory."""
    path = place('statistics', 'large.safetensors')
    values = torch.from_numpy(np.random.default_rng(7).standard_normal(100_000_000, dtype=np.float32))
    save_file({'large': values}, path)
    try:
        # By a small process of its own: a child counts the memory of the one that started it.
        watch = 'import os, subprocess, sys; child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL); ' \
            '_, status, usage = os.wait4(child.pid, 0); print(status, usage.ru_maxrss)'
        output = subprocess.run([sys.executable, '-c', watch, CKPT, 'ls', path, '--stats'], capture_output=True, text=True).stdout
        status, peak = output.split()
        require(status == '0', 'ended with %s' % status)
        peak = int(peak) / 1000
        require(peak < 48, 'took %.0f MB' % peak)
        compare('large', 'f32', found(path)['large'], values)
    finally:
        path.unlink()
    return '%.0f MB at most' % peak


run_checks(
    [('statistics of %s' % dtype, check_type, dtype) for dtype in TYPES]
    + [('statistics in HDF5', check_hdf5), ('statistics of views', check_views), ('statistics of complex', check_complex), ('statistics in bounded memory', check_memory)]
)
