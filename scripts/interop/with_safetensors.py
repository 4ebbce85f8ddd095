"""safetensors, PyTorch, h5py and NumPy read what ckpt writes, to the bit; and ckpt reads what they write."""
import json
import struct

import h5py
import numpy as np
import safetensors
import safetensors.numpy
import safetensors.torch
import torch

from common import FIXTURES, ckpt, convert, load_json, place, require, run_checks

FILES = ['b4k-bert/weights.h5', 'b4k-albert/model.h5', 'hf-bert/model.safetensors', 'hf-albert-groups/model.safetensors', 'tiny-albert/weights.h5']
NUMPY_DTYPES = ['float64', 'float32', 'float16', 'int64', 'int32', 'int16', 'int8', 'uint64', 'uint32', 'uint16', 'uint8', 'bool']
NAMES = {'float64': 'f64', 'float32': 'f32', 'float16': 'f16', 'int64': 'i64', 'int32': 'i32', 'int16': 'i16', 'int8': 'i8',
         'uint64': 'u64', 'uint32': 'u32', 'uint16': 'u16', 'uint8': 'u8', 'bool': 'bool', 'bfloat16': 'bf16'}


# Arrays that are easy to get wrong


def arrays():
    """Every type with extreme values, a single number, emptiness, one element, several axes; names of other scripts."""
    random, made = np.random.default_rng(11), {}
    for dtype in NUMPY_DTYPES:
        kind = np.dtype(dtype)
        raw = random.integers(0, 2, 60, 'uint8') if dtype == 'bool' else random.integers(0, 256, 60 * kind.itemsize, 'uint8')
        values = raw.view(kind).reshape(3, 4, 5)
        if kind.kind == 'f':  # any bits, NaNs with their payload included, and the special values
            values = values.copy()
            values[0, 0, :5] = [np.inf, -np.inf, np.nan, -0.0, np.finfo(kind).smallest_subnormal]
        made[dtype] = values
        made[dtype + '.number'] = np.array(values[1, 1, 1])
        made[dtype + '.empty'] = np.zeros((0,), kind)
        made[dtype + '.empty3'] = np.zeros((2, 0, 3), kind)
        made[dtype + '.one'] = values[:1, :1, :1].copy()
    made['层.0/权重'] = np.arange(6, dtype='float32').reshape(2, 3)
    made['with space and "quote"'] = np.arange(3, dtype='int16')
    made['z' * 300] = np.ones(1, 'uint8')
    return made


def bfloats():
    """Every bfloat16 there is, and small ones of other shapes."""
    every = torch.arange(0, 1 << 16, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    return {'every': every, 'number': torch.tensor(1.5, dtype=torch.bfloat16), 'empty': torch.zeros((0, 3), dtype=torch.bfloat16),
            'beside': torch.linspace(-1, 1, 7)}


def require_equal(ours, theirs):
    """Names, types, shapes and bits."""
    require(set(ours) == set(theirs), 'names differ: %s' % sorted(set(ours) ^ set(theirs))[:4])
    for name, value in theirs.items():
        require(ours[name].dtype == value.dtype, '%s is %s, expected %s' % (name, ours[name].dtype, value.dtype))
        require(ours[name].shape == value.shape, '%s has shape %s, expected %s' % (name, ours[name].shape, value.shape))
        require(ours[name].tobytes() == value.tobytes(), '%s has other bits' % name)
    return '%d arrays to the bit' % len(theirs)


def read_h5(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: np.asarray(item[()])}) if isinstance(item, h5py.Dataset) else None)
    return found


def read_npz(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


READERS = {'safetensors': safetensors.numpy.load_file, 'h5': read_h5, 'npz': read_npz}


def write_npz(values, path, deflated=False):
    (np.savez_compressed if deflated else np.savez)(path, **values)


def write_h5(values, path):
    with h5py.File(path, 'w') as file:
        for number, (name, value) in enumerate(values.items()):
            chunked = {'chunks': True, 'compression': 'gzip', 'shuffle': True} if number % 3 == 2 and value.ndim and value.size else {}
            file.create_dataset(name, data=value, **chunked)


WRITERS = {'safetensors': safetensors.numpy.save_file, 'h5': write_h5, 'npz': write_npz}


def check_arrays(source, target):
    """Python writes one format, ckpt makes another of it, Python reads it."""
    values = arrays()
    path, result = place('safetensors', 'from-%s-to-%s.in.%s' % (source, target, source)), place('safetensors', 'from-%s-to-%s.%s' % (source, target, target))
    WRITERS[source](values, path)
    listed = {tensor['name']: (tensor['dtype'], tuple(tensor['shape'])) for tensor in ckpt('ls', path)['tensors']}
    require(listed == {name: (NAMES[value.dtype.name], value.shape) for name, value in values.items()}, 'ckpt ls says otherwise')
    said = convert(path, result)
    require(said['read_back'] == len(values), 'only %d tensors were read back' % said['read_back'])
    return require_equal(READERS[target](result), values)


def check_orders():
    """Arrays in Fortran order, big-endian, transposed, packed: ckpt reads the numbers."""
    random = np.random.default_rng(12)
    base = random.standard_normal((3, 4, 5))
    values = {'fortran': np.asfortranarray(base), 'big': base.astype('>f8'), 'both': np.asfortranarray(base.astype('>f4')),
              'transposed': np.asfortranarray(base[0].T), 'big.integer': np.arange(7, dtype='>i2')}
    path, result = place('safetensors', 'orders.npz'), place('safetensors', 'orders.safetensors')
    write_npz(values, path, deflated=True)
    convert(path, result)
    return require_equal(safetensors.numpy.load_file(result), {name: np.ascontiguousarray(value.astype(value.dtype.newbyteorder('<'))) for name, value in values.items()})


def check_bfloat16():
    """bfloat16 goes through safetensors unchanged; NumPy and Keras have no such type, which is said."""
    path, result = place('safetensors', 'bf16.in.safetensors'), place('safetensors', 'bf16.safetensors')
    values = bfloats()
    safetensors.torch.save_file(values, path)
    convert(path, result)
    found = safetensors.torch.load_file(result)
    require(set(found) == set(values), 'names differ')
    for name, value in values.items():
        same = found[name].dtype == value.dtype and found[name].shape == value.shape
        view = torch.int16 if value.dtype == torch.bfloat16 else torch.int32
        require(same and torch.equal(found[name].view(view), value.view(view)), '%s differs' % name)
    for suffix in ('h5', 'npz'):
        refused = place('safetensors', 'bf16.' + suffix)
        said = ckpt('convert', path, refused, '--overwrite', code=2)
        require('bf16' in said['error']['message'] and not refused.exists(), 'expected a refusal that names bf16')
    return 'every one of 65,536'


def check_dtype(file, dtype):
    """`--dtype`: PyTorch finds the type, and its own rounding of the same numbers."""
    theirs = {'f16': torch.float16, 'bf16': torch.bfloat16, 'f64': torch.float64}[dtype]
    full, cast = place('safetensors', dtype + '-f32.safetensors'), place('safetensors', dtype + '.safetensors')
    convert(FIXTURES / file, full)
    convert(FIXTURES / file, cast, '--dtype', dtype)
    before, after = safetensors.torch.load_file(full), safetensors.torch.load_file(cast)
    require(set(before) == set(after), 'names differ')
    for name, value in before.items():
        require(after[name].dtype == theirs, '%s is %s' % (name, after[name].dtype))
        require(torch.equal(after[name], value.to(theirs)), '%s is rounded otherwise' % name)
    return '%d tensors as PyTorch rounds them' % len(before)


def fitting(values, dtype):
    """The values that do not become infinite."""
    return values[(torch.from_numpy(values).to(dtype).isfinite() | ~torch.from_numpy(values).isfinite()).numpy()]


def check_half_rounding():
    """Rounding at the edges: ties, subnormals, NaN, infinities; what would overflow to infinity is refused."""
    random = np.random.default_rng(13)
    values = random.integers(0, 1 << 32, 1 << 16, 'uint64').astype('uint32').view('float32')
    edges = np.array([0, -0.0, 65504, 65519.996, 1e-8, 2.98e-8, 2.9802322e-8, 5.96e-8, 6.1e-5, np.inf, -np.inf, 1 + 2**-11, 1 + 3 * 2**-11,
                      1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-9, 3.4e38, np.finfo('float32').max, 1e-45], 'float32')
    halves = np.arange(1 << 16, dtype='uint16').view('float16').astype('float32')
    count = 0
    for dtype, theirs in (('f16', torch.float16), ('bf16', torch.bfloat16)):
        path, result = place('safetensors', 'edges-%s.in.safetensors' % dtype), place('safetensors', 'edges-%s.safetensors' % dtype)
        given = {'any': values, 'edges': edges, 'halves': halves}
        given = {name: fitting(value, theirs) for name, value in given.items()}
        safetensors.numpy.save_file(given, path)
        count += sum(value.size for value in given.values())
        convert(path, result, '--dtype', dtype)
        found = safetensors.torch.load_file(result)
        for name, value in safetensors.torch.load_file(path).items():
            ours, wanted = found[name], value.to(theirs)
            nan = wanted.isnan()
            require(torch.equal(ours.isnan(), nan), '%s of %s: NaNs differ' % (dtype, name))
            require(torch.equal(ours[~nan].view(torch.int16), wanted[~nan].view(torch.int16)), '%s of %s: rounded otherwise' % (dtype, name))
        for number in (65520.0, -1e6) if dtype == 'f16' else (3.4e38,):
            safetensors.numpy.save_file({'large': np.array([1, number], 'float32')}, path)
            said = ckpt('convert', path, result, '--dtype', dtype, '--overwrite', code=2)
            require('large' in said['error']['message'], 'the refusal does not name the tensor')
    return '%d numbers' % count


def header(path):
    with open(path, 'rb') as file:
        length, = struct.unpack('<Q', file.read(8))
        return json.loads(file.read(length)), 8 + length


def check_metadata(file):
    """`--to huggingface`: metadata says pt, every tensor is aligned, and safe_open agrees."""
    folder = place('safetensors', 'metadata-' + file.partition('/')[0])
    convert(FIXTURES / file, folder, '--to', 'huggingface')
    path = folder / 'model.safetensors'
    fields, start = header(path)
    require(fields.pop('__metadata__').get('format') == 'pt', 'metadata format is not pt')
    require(start % 8 == 0, 'the data begin at byte %d' % start)
    for name, field in fields.items():
        require(field['data_offsets'][0] % 4 == 0, '%s is not aligned' % name)
    with safetensors.safe_open(path, 'pt') as opened:
        require(opened.metadata()['format'] == 'pt' and set(opened.keys()) == set(fields), 'safe_open sees something else')
        for name in opened.keys():
            require(list(opened.get_slice(name).get_shape()) == fields[name]['shape'], '%s has another shape' % name)
    return '%d tensors' % len(fields)


def check_shards(file, size):
    """`--max-shard-size`: the shards hold what the single file holds, and no shard is larger unless one tensor is."""
    single, folder = place('safetensors', 'single'), place('safetensors', 'shards-%s-%s' % (file.replace('/', '-').removesuffix('.h5').removesuffix('.safetensors'), size))
    convert(FIXTURES / file, single, '--to', 'huggingface')
    convert(FIXTURES / file, folder, '--to', 'huggingface', '--max-shard-size', size)
    index = load_json(folder / 'model.safetensors.index.json')
    limit = int(size.removesuffix('KB')) * 1000
    found, files = {}, sorted(set(index['weight_map'].values()))
    for name in files:
        part = safetensors.numpy.load_file(folder / name)
        require(all(index['weight_map'][tensor] == name for tensor in part), '%s holds other tensors than the index says' % name)
        require(len(part) == 1 or sum(value.nbytes for value in part.values()) <= limit, '%s is too large' % name)
        found.update(part)
    require(index['metadata']['total_size'] == sum(value.nbytes for value in found.values()), 'total_size is wrong')
    require(not (folder / 'model.safetensors').exists(), 'a single file stands beside the index')
    return '%d files, %s' % (len(files), require_equal(found, safetensors.numpy.load_file(single / 'model.safetensors')))


def check_replaced():
    """Written again in another way, a folder holds one result: readers must not find the older one."""
    folder = place('safetensors', 'replaced')
    for options, wanted in (([], False), (['--max-shard-size', '60KB'], True), ([], False)):
        convert(FIXTURES / 'hf-bert', folder, '--to', 'huggingface', *options)
        found = ((folder / 'model.safetensors.index.json').exists(), (folder / 'model.safetensors').exists())
        require(found == (wanted, not wanted), 'index and single file stand there: %s' % (found,))
    return 'single, shards, single'


def check_sharded_input():
    """transformers' own shards: ckpt lists and joins them."""
    result = place('safetensors', 'joined.safetensors')
    convert(FIXTURES / 'hf-bert-sharded', result)
    theirs = {}
    for part in sorted((FIXTURES / 'hf-bert-sharded').glob('model-*.safetensors')):
        theirs.update(safetensors.numpy.load_file(part))
    return require_equal(safetensors.numpy.load_file(result), theirs)


def check_real(file):
    """A fixture's tensors through every format and back."""
    path = FIXTURES / file
    original = place('safetensors', 'real.safetensors')
    convert(path, original)
    wanted = safetensors.numpy.load_file(original)
    stored = read_h5(path) if file.endswith('.h5') else safetensors.numpy.load_file(path)
    require_equal(wanted, stored)
    current = original
    for step, suffix in enumerate(('h5', 'npz', 'safetensors', 'npz', 'h5', 'safetensors')):
        following = place('safetensors', 'real-%d.%s' % (step, suffix))
        convert(current, following)
        require_equal(READERS[suffix](following), wanted)
        current = following
    return '%d tensors through 6 files' % len(wanted)


def checks():
    for source in WRITERS:
        for target in READERS:
            yield 'safetensors arrays %s to %s' % (source, target), check_arrays, source, target
    yield 'safetensors numpy orders', check_orders
    yield 'safetensors bfloat16', check_bfloat16
    yield 'safetensors rounding', check_half_rounding
    for dtype in ('f16', 'bf16', 'f64'):
        for file in FILES[:3]:
            yield 'safetensors --dtype %s %s' % (dtype, file), check_dtype, file, dtype
    for file in FILES[:4]:
        yield 'safetensors metadata ' + file, check_metadata, file
    for file, size in (('b4k-bert/weights.h5', '40KB'), ('b4k-albert/model.h5', '10KB'), ('hf-albert-groups/model.safetensors', '25KB'), ('hf-bert/model.safetensors', '1KB')):
        yield 'safetensors shards of %s %s' % (size, file), check_shards, file, size
    yield 'safetensors folder written again', check_replaced
    yield 'safetensors shards of transformers', check_sharded_input
    for file in FILES:
        yield 'safetensors round trips ' + file, check_real, file


if __name__ == '__main__':
    run_checks(checks())
