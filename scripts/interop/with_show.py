"""`ckpt show` prints as NumPy does, takes slices as NumPy does, counts as `numpy.histogram`, and its images are read by
libpng's other users (zlib and the PNG specification, here by hand).

It follows `numpy.array2string` of the NumPy that is here (2.4: where powers of ten begin depends on the type). bfloat16,
8-bit floats and ggml's blocks, which NumPy does not have, are to look like the same numbers in float32.
"""
import json
import struct
import subprocess
import zlib

import gguf
import ml_dtypes
import numpy as np

from common import CKPT, ckpt, convert, place, require, run_checks

RANDOM = np.random.default_rng(6)


def shown(*arguments):
    """What it prints of the numbers."""
    command = [CKPT, 'show', *map(str, arguments), '--quiet', '--no-color']
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    require(result.returncode == 0, '%s: %s' % (' '.join(map(str, arguments)), result.stderr))
    return result.stdout[:-1]


def floats(dtype):
    """Arrays that need every way of printing."""
    info = np.finfo(dtype)
    tiny, largest = info.smallest_subnormal, info.max
    normal = RANDOM.standard_normal
    arrays = [
        np.array(0.1), np.array(-2.5), np.array(np.nan), np.zeros(3), np.array([0.0, -0.0]), np.arange(5), np.arange(-3, 4) / 4,
        np.array([np.nan, 1, -2.5]), np.array([np.inf, -np.inf, 0.5]), np.array([np.inf, 1]), np.array([-np.inf]), np.array([np.nan, np.nan]),
        np.array([np.nan, 1e-6]), np.array([-np.inf, 1e-6, 12]), np.array([tiny, 0]), np.array([largest, -largest]), np.array([largest, tiny]),
        np.array([0.0001]), np.array([0.00009]), np.array([999.0]), np.array([1000.0]), np.array([1001.0, 1]), np.array([1000.0, 1]),
        np.array([0.001, 1.0]), np.array([0.00099, 1.0]), np.array([123456.789, 0.25 + 200]), np.array([1 / 3, 2 / 3]), np.array([1e-5, 1.5]),
        np.array([0.1, 0.12, 0.123, 0.1234567, 0.123456789012]), np.array([99999.5, 1234.5]), np.array([1e3, 1e4]), np.array([2048.0, 60000.0]),
        normal(7), normal(1000), normal(1001), normal((3, 4)), normal((40, 30)), normal((2, 600)), normal((600, 2)), normal((7, 7, 7, 7)), normal((1, 1, 1)),
        normal((12, 3, 40)), np.zeros((0,)), np.zeros((3, 0)), np.zeros((0, 5)), normal((30, 40)) * 1e-3, normal((30, 40)) * 1e-6, normal((20, 3)) * 200,
        np.exp(normal((50, 50)) * 6), np.where(normal((40, 40)) > 2, np.nan, normal((40, 40))), normal((5, 20)) + 100, np.linspace(-1, 1, 21),
        normal((1, 2000)), normal((6, 7, 50)), normal((7, 6, 50)),
    ]
    if dtype != np.float16:
        arrays += [np.array([1e6]), np.array([999999.0]), np.array([1e8, 1]), np.array([99999999.0]), np.array([1e30, 1e-30]), np.array([16777216.0, 1e5])]
    if dtype == np.float64:
        arrays += [np.array([1e100, 1.5]), np.array([1e300, 1e-300]), np.array([1e15]), np.array([0.1 + 0.2, 1e-4])]
    with np.errstate(over='ignore'):
        return [np.asarray(array).astype(dtype) for array in arrays]


def integers(dtype):
    info = np.iinfo(dtype)
    draw = lambda shape: RANDOM.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)  # noqa: E731
    return [np.array(info.max, dtype), np.array([info.min, info.max], dtype), np.zeros(3, dtype), draw((3, 4)), draw((40, 30)), draw(2000), draw((6, 7, 60)),
            np.arange(100).astype(dtype), np.zeros((2, 0), dtype)]


def others():
    flips = RANDOM.random
    normal = RANDOM.standard_normal
    found = [np.array(True), np.array([True, False]), np.array([[False, False]]), flips((40, 30)) > 0.5]
    for dtype in (np.complex64, np.complex128):
        z = lambda *shape: (normal(shape) + 1j * normal(shape)).astype(dtype)  # noqa: E731
        found += [z(), z(3), z(20, 60), z(3, 4), z(4) * 1e-6, np.array([1, 1j, -1j, 0]).astype(dtype), np.array([np.nan, np.inf * 1j, -2.5]).astype(dtype)]
    return found


def check_printing(name, arrays, view=lambda array: array, write=None):
    """Each array as `numpy.array2string` prints it, with several precisions."""
    file = place('show', '%s.npz' % name)
    names = ['a%d' % index for index in range(len(arrays))]
    np.savez(file, **dict(zip(names, arrays)))
    return compare(file, dict(zip(names, arrays)))


def compare(file, arrays):
    count = 0
    for index, (name, array) in enumerate(arrays.items()):
        for precision in [None, 3] + ([0, 1, 12] if index % 4 == 0 else []):
            ours = shown(file, name, *([] if precision is None else ['--precision', precision]))
            theirs = np.array2string(array, precision=precision)
            require(ours == theirs, '%s %s %s, precision %s:\n%s\nNumPy:\n%s' % (name, array.dtype, array.shape, precision, ours, theirs))
            count += 1
        if array.size > 1000 and index % 5 == 0:
            require(shown(file, name, '--full') == np.array2string(array, threshold=10**9), '%s in full differs' % name)
            count += 1
    return '%d texts equal' % count


def write_safetensors(file, arrays):
    """Types that only this format has, written by hand."""
    header, data = {}, b''
    for name, (dtype, array) in arrays.items():
        raw = array.tobytes()
        header[name] = {'dtype': dtype, 'shape': list(array.shape), 'data_offsets': [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack('<Q', len(text)) + text + data)


def check_small_floats():
    normal = RANDOM.standard_normal
    stored, expected = {}, {}
    for dtype, label in ((ml_dtypes.bfloat16, 'BF16'), (ml_dtypes.float8_e4m3fn, 'F8_E4M3'), (ml_dtypes.float8_e5m2, 'F8_E5M2')):
        for index, array in enumerate([normal(5), normal((30, 50)), np.array([0.0, -0.0, np.nan, 1.5]), normal((3, 4)) * 1e-2, np.array(0.1)]):
            name = '%s-%d' % (label, index)
            stored[name] = (label, array.astype(dtype))
            expected[name] = array.astype(dtype).astype(np.float32)
    file = place('show', 'small.safetensors')
    write_safetensors(file, stored)
    return compare(file, expected)


def check_blocks():
    """ggml's blocks, decoded by the gguf package."""
    file = place('show', 'blocks.gguf')
    writer = gguf.GGUFWriter(file, 'bert')
    expected = {}
    for kind in ('Q8_0', 'Q4_0', 'Q5_1'):
        kind = gguf.GGMLQuantizationType[kind]
        packed = gguf.quantize(RANDOM.standard_normal((50, 64)).astype(np.float32), kind)
        writer.add_tensor(kind.name, packed, raw_dtype=kind)
        expected[kind.name] = gguf.dequantize(packed, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    text = compare(file, expected)
    for name, array in expected.items():
        for slice in ('3', '-1,::-7', ':2,30:36', '...,5'):
            require(shown(file, name, '--slice', slice) == np.array2string(eval('array[%s]' % slice)), '%s[%s] differs' % (name, slice))
    return text


SLICES = {
    1: ['0', '-1', ':', '...', '2:5', '::2', '::-1', '-3:', ':-3', '5:2', '5:2:-1', '100:', '-100:3', '::7', '::-3', '1,...', '..., 1', '[3:9]', '10:2:-3'],
    2: ['0', '-1', '0,0', '-1,-1', ':,0', '0,:', '...,0', '0,...', '0:4,:8', '::2,::3', '::-1', '::-1,::-1', ':,::-1', '-2:,-2:', '3:3', ':,5:2', '1:9:3, 2:30:5'],
    3: ['0', '...,0', '0,...,0', ':,0', ':,:,0', ':,::-1', '1:3,...,::2', '0,1,2', '-1,-1,-1', '::-1,::-1,::-1', '1:2', '..., 1:2', ':, 1, :'],
}


def check_slices(kind):
    """The same elements as NumPy's, from files that keep them in different ways."""
    arrays = {'v': RANDOM.standard_normal(50), 'm': RANDOM.standard_normal((40, 33)), 't': RANDOM.standard_normal((5, 6, 40)), 'i': RANDOM.integers(-99, 99, (12, 130))}
    if kind == 'npz':
        np.savez(file := place('show', 'slices.npz'), **arrays)
    elif kind == 'fortran and big-endian':
        arrays = {name: np.asfortranarray(array.astype(array.dtype.newbyteorder('>'))) for name, array in arrays.items()}
        np.savez(file := place('show', 'fortran.npz'), **arrays)
    else:
        np.savez_compressed(file := place('show', 'packed.npz'), **arrays)
        if kind == 'packed h5':
            convert(file, file := place('show', 'packed.h5'), '--compress', 'gzip')
    count = 0
    for name, array in arrays.items():
        for slice in SLICES[array.ndim]:
            expected = eval('array[%s]' % slice.strip('[]'))
            found = ckpt('show', file, name, '--slice', slice)
            require(np.array_equal(np.array(found['values'], expected.dtype).reshape(found['selected_shape']), expected)
                    and tuple(found['selected_shape']) == expected.shape, '%s[%s] differs' % (name, slice))
            require(shown(file, name, '--slice', slice) == np.array2string(np.asarray(expected)), '%s[%s] is printed otherwise' % (name, slice))
            if expected.size:
                numbers, wide = found['statistics'], np.asarray(expected, np.float64)
                require(numbers['count'] == wide.size and numbers['min'] == wide.min() and numbers['max'] == wide.max(), '%s[%s]: extremes' % (name, slice))
                require(np.allclose([numbers['mean'], numbers['std']], [wide.mean(), wide.std()], rtol=1e-9, atol=1e-12), '%s[%s]: moments' % (name, slice))
            count += 1
    for wrong in ('a', '1:2:0', '1.5', '...,...', '50', '-51', '1,2', ':::', '1:2:3:4', ',', '0x1'):
        ckpt('show', file, 'v', '--slice', wrong, code=64)
    return '%d slices equal' % count


def check_histogram():
    values = RANDOM.standard_normal((500, 700)).astype(np.float32)
    values[3, 5:9] = [np.nan, np.inf, -np.inf, 30]
    arrays = {'normal': values, 'constant': np.full(9, 2.5), 'one': np.array(3.0), 'integers': RANDOM.integers(0, 10, 4000), 'none': np.array([np.nan]),
              'wide': np.array([-1.7e308, 0, 1.7e308]), 'edges': np.arange(21) / 20, 'half': values[:50].astype(np.float16)}
    np.savez(file := place('show', 'histogram.npz'), **arrays)
    for name, array in arrays.items():
        for bins in (20, 7, 1):
            found = ckpt('show', file, name, '--hist', '--bins', bins)['histogram']
            wide = array.astype(np.float64).ravel()
            wide = wide[np.isfinite(wide)]
            if not wide.size:
                require(found['counts'] == [], name)
                continue
            if name == 'wide':
                require(sum(found['counts']) == 3, 'a range beyond float64 is not counted whole')
                continue
            counts, edges = np.histogram(wide, bins)
            require(found['counts'] == counts.tolist(), '%s, %d bins: %s, NumPy %s' % (name, bins, found['counts'], counts))
            require(np.allclose(found['edges'], edges, rtol=1e-12, atol=1e-300), '%s: edges' % name)
    return '%d arrays counted alike' % len(arrays)


def png(path):
    """Pixels of an image, by the specification: 8-bit RGB, not interlaced."""
    data = path.read_bytes()
    require(data[:8] == b'\x89PNG\r\n\x1a\n', 'no PNG')
    place, packed = 8, b''
    while place < len(data):
        length, kind = struct.unpack('>I4s', data[place:place + 8])
        body = data[place + 8:place + 8 + length]
        require(zlib.crc32(kind + body) == struct.unpack('>I', data[place + 8 + length:place + 12 + length])[0], 'checksum of %s' % kind)
        if kind == b'IHDR':
            width, height, depth, colour, _, _, interlaced = struct.unpack('>IIBBBBB', body)
            require((depth, colour, interlaced) == (8, 2, 0), 'not 8-bit RGB')
        packed += body if kind == b'IDAT' else b''
        place += 12 + length
    raw, rows, above = zlib.decompress(packed), [], np.zeros(3 * width, np.int64)
    for row in range(height):
        start = row * (3 * width + 1)
        method, line = raw[start], np.frombuffer(raw[start + 1:start + 1 + 3 * width], np.uint8).astype(np.int64)
        out = np.zeros(3 * width, np.int64)
        for index in range(3 * width):
            left, up, corner = (out[index - 3] if index > 2 else 0), above[index], (above[index - 3] if index > 2 else 0)
            guess = left + up - corner
            nearest = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
            out[index] = (line[index] + [0, left, up, (left + up) // 2, nearest][method]) % 256
        rows.append(out.reshape(width, 3))
        above = out
    return np.array(rows)


def check_image():
    """One colour for each element of a small matrix, the largest of each cell of a large one; nothing half written."""
    small = np.array([[1.0, -1.0, 0.0], [0.5, -0.5, np.nan]])
    large = np.zeros((4100, 5), np.float32)
    large[1001, 3], large[4099, 0] = -7, 7
    np.savez(file := place('show', 'image.npz'), small=small, large=large)
    target = place('show', 'small.png')
    target.unlink(missing_ok=True)
    ckpt('show', file, 'small', '-o', target)
    pixels = png(target)
    side = pixels.shape[1] // 3
    require(pixels.shape == (2 * side, 3 * side, 3) and side >= 100, 'a small matrix is not enlarged: %s' % (pixels.shape,))
    cells = pixels[side // 2::side, side // 2::side]
    require((pixels == np.repeat(np.repeat(cells, side, 0), side, 1)).all(), 'cells are not of one colour')
    red, blue, white = cells[0, 0], cells[0, 1], cells[0, 2]
    require(red[0] > red[2] + 60 and blue[2] > blue[0] + 60 and white.min() > 230 and cells[1, 2].tolist() == [255, 0, 255], 'colours: %s' % cells.tolist())
    require(cells[1, 0][0] > cells[1, 0][2] and cells[1, 0].min() > red.min(), 'half as much is not paler')
    before = target.read_bytes()
    ckpt('show', file, 'small', '-o', target, code=64)
    require(target.read_bytes() == before, 'a file was replaced without being asked to')
    ckpt('show', file, 'large', '-o', target, '--overwrite')
    pixels = png(target)
    require(pixels.shape == (2048, 5, 3), 'not pooled to 2048 rows: %s' % (pixels.shape,))
    coloured = {tuple(place) for place in np.argwhere(pixels.min(-1) < 200)}
    require(coloured == {(1001 * 2048 // 4100, 3), (2047, 0)}, 'single outliers stand at %s' % coloured)
    ckpt('show', file, 'small', '--hist', '-o', target, '--overwrite')
    require(png(target).std() > 10, 'the histogram is blank')
    return 'heat maps and a histogram'


def check_speed():
    """Of a large tensor only what is shown is read."""
    file = place('show', 'large.npy')
    np.lib.format.open_memmap(file, 'w+', np.float32, (200_000, 5_000))[-1, -1] = 5
    result = subprocess.run(['/usr/bin/env', 'python3', '-c', '''
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_maxrss, usage.ru_utime + usage.ru_stime)
''', CKPT, 'show', str(file), '--slice', '-5:,::-1000'], capture_output=True, text=True, check=True)
    memory, seconds = map(float, result.stdout.split())
    text = shown(file, '--slice', '-1,-1')
    file.unlink()
    require(text == '5.', 'the last element is %s' % text)
    require(memory < 60_000 and seconds < 1, '%d KB and %.2f s for a slice of 4 GB' % (memory, seconds))
    return '4 GB (sparse): %d MB, %.3f s of processor time' % (memory / 1000, seconds)


run_checks(
    [('show/printing/%s' % np.dtype(dtype).name, check_printing, np.dtype(dtype).name, floats(dtype)) for dtype in (np.float16, np.float32, np.float64)]
    + [('show/printing/%s' % np.dtype(dtype).name, check_printing, np.dtype(dtype).name, integers(dtype))
       for dtype in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)]
    + [('show/printing/others (bool, complex)', check_printing, 'others', others()), ('show/printing/small floats', check_small_floats),
       ('show/printing/blocks', check_blocks)]
    + [('show/slices/%s' % kind, check_slices, kind) for kind in ('npz', 'fortran and big-endian', 'packed npz', 'packed h5')]
    + [('show/histogram', check_histogram), ('show/image', check_image), ('show/large', check_speed)])
