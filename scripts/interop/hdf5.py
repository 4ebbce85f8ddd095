"""What h5py sees in a file, and checks of any HDF5 file of Keras' that need no Keras."""
import zlib

import h5py
import numpy as np

from common import ckpt, convert, place, require

DTYPES = {'float64': 'f64', 'float32': 'f32', 'float16': 'f16', 'int64': 'i64', 'int32': 'i32', 'int16': 'i16', 'int8': 'i8',
          'uint64': 'u64', 'uint32': 'u32', 'uint16': 'u16', 'uint8': 'u8', 'bool': 'bool'}


# What a file holds


def attribute(holder, name):
    """An attribute as far as a reader can tell: the stored type with its length, padding and character set, shape, content."""
    stored = h5py.h5a.open(holder.id, name.encode())
    kind, value = stored.get_type(), holder.attrs[name]
    described = (kind.get_class(), kind.get_size() if not isinstance(kind, h5py.h5t.TypeStringID) or not kind.is_variable_str() else 'vlen')
    if isinstance(kind, h5py.h5t.TypeStringID):
        described += (kind.get_strpad(), kind.get_cset(), kind.is_variable_str())
    content = value.tobytes() if isinstance(value, np.ndarray) and value.dtype != object else repr(np.asarray(value).tolist())
    return described, stored.shape, stored.get_space().get_simple_extent_type(), type(value).__name__, content


def describe(path):
    """Every object of a file with its attributes; datasets with type, shape and bytes."""
    found = {}

    def visit(name, item):
        attributes = {key: attribute(item, key) for key in item.attrs}
        if isinstance(item, h5py.Dataset):
            found[name] = ('dataset', item.dtype.str, item.shape, item[()].tobytes(), attributes)
        else:
            found[name] = ('group', attributes)
    with h5py.File(path) as file:
        visit('', file)
        file.visititems(visit)
    return found


def require_same(ours, theirs):
    """Fails with the first object that differs."""
    for name in theirs:
        require(name in ours, '%s is missing' % name)
        for one, other in zip(ours[name], theirs[name]):
            if one != other and isinstance(other, dict):
                for key in sorted(set(one) | set(other)):
                    require(one.get(key) == other.get(key), '%s@%s: %.300s, expected %.300s' % (name, key, one.get(key), other.get(key)))
            require(one == other, '%s: %.300s, expected %.300s' % (name, one, other))
    require(not set(ours) - set(theirs), 'there is more than before: %s' % sorted(set(ours) - set(theirs))[:5])
    attributes = sum(len(entry[-1]) for entry in theirs.values())
    datasets = sum(entry[0] == 'dataset' for entry in theirs.values())
    return '%d groups, %d datasets, %d attributes' % (len(theirs) - datasets, datasets, attributes)


def round_trip(path, label):
    """h5 → safetensors → h5, names as they are."""
    middle, back = place('hdf5', label + '.safetensors'), place('hdf5', label + '.h5')  # the suffix tells Keras the layout
    convert(path, middle)
    convert(middle, back)
    return back


def check_same_content(path, label):
    return require_same(describe(round_trip(path, label)), describe(path))


def check_same_bytes(path, label):
    """ckpt writes the same file whether it comes straight from HDF5 or by way of safetensors."""
    straight = place('hdf5', label + '-straight.h5')
    convert(path, straight)
    sums = [zlib.crc32(file.read_bytes()) for file in (straight, round_trip(path, label))]
    require(sums[0] == sums[1], 'the two files differ')
    return 'CRC-32 %08x' % sums[0]


def texts(group, name):
    """A list of texts as Keras splits it: `name`, or `name0`, `name1`, …"""
    if name in group.attrs:
        return list(group.attrs[name])
    found = []
    while '%s%d' % (name, len(found)) in group.attrs:
        found.append(group.attrs['%s%d' % (name, len(found))])
    return [text for part in found for text in part]


def check_listing(path):
    """`ckpt ls` names every dataset with its type and shape, in the order of the layers and their weights."""
    listed = [(tensor['name'], tensor['dtype'], tensor['shape']) for tensor in ckpt('ls', path)['tensors']]
    datasets, ordered = {}, []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: datasets.update({name: item}) if isinstance(item, h5py.Dataset) else None)
        wanted = {(name, DTYPES[item.dtype.name], item.shape) for name, item in datasets.items()}
        container = file['model_weights'] if 'model_weights' in file else file
        for layer in texts(container, 'layer_names'):
            group = container[layer]
            ordered += [group[weight].name.lstrip('/') for weight in texts(group, 'weight_names')]
    found = {(name, dtype, tuple(shape)) for name, dtype, shape in listed}
    require(found == wanted, 'differing: %s' % sorted(map(str, found ^ wanted))[:4])
    require(len(listed) == len(wanted), 'a dataset is listed twice')
    require([name for name, _, _ in listed][:len(ordered)] == ordered, 'the order is not that of weight_names')
    return '%d tensors, %d of layers' % (len(listed), len(ordered))


def check_npz(path, label):
    """numpy.load finds every dataset under its path."""
    target = place('hdf5', label + '.npz')
    convert(path, target)
    with np.load(target) as arrays, h5py.File(path) as file:
        for name in arrays.files:
            stored = file[name]
            require(arrays[name].dtype == stored.dtype and arrays[name].shape == stored.shape, '%s changed type or shape' % name)
            require(arrays[name].tobytes() == stored[()].tobytes(), '%s changed' % name)
        count = len(arrays.files)
    require(count == len(ckpt('ls', path)['tensors']), 'arrays are missing')
    return '%d arrays' % count
