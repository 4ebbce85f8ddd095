"""gguf-py reads what ckpt writes, numbers, blocks and metadata; and ckpt reads and decodes what gguf-py writes."""
import gguf
import numpy as np

from common import FIXTURES, ckpt, convert, place, require, run_checks

Type = gguf.GGMLQuantizationType
NUMPY_DTYPES = ['float64', 'float32', 'float16', 'int64', 'int32', 'int16', 'int8']
DECODED = [Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0, Type.Q2_K, Type.Q3_K, Type.Q4_K, Type.Q5_K, Type.Q6_K, Type.IQ1_S, Type.IQ1_M,
           Type.IQ2_XXS, Type.IQ2_XS, Type.IQ2_S, Type.IQ3_XXS, Type.IQ3_S, Type.IQ4_NL, Type.IQ4_XS, Type.TQ1_0, Type.TQ2_0, Type.MXFP4, Type.NVFP4]


def arrays():
    """Every type that GGUF has, of up to four axes, with random bits; scalars and emptiness."""
    random, made = np.random.default_rng(17), {}
    for dtype in NUMPY_DTYPES:
        kind = np.dtype(dtype)
        values = random.integers(0, 256, 60 * kind.itemsize, 'uint8').view(kind)
        for shape in [(60,), (3, 20), (3, 4, 5), (3, 2, 2, 5)]:
            made['%s %dd' % (dtype, len(shape))] = values.reshape(shape)
        made[dtype + '.number'] = np.array(values[1])
        made[dtype + '.empty'] = np.zeros((0,), kind)
    made['层/权重:0'] = np.arange(6, dtype='float32').reshape(2, 3)
    return made


def require_same(reader, values):
    found = {tensor.name: tensor for tensor in reader.tensors}
    require(list(found) == list(values), 'names differ: %s' % (set(found) ^ set(values)))
    for name, value in values.items():
        data = found[name].data
        require(data.shape == value.shape and data.dtype == value.dtype, '%s is %s %s' % (name, data.dtype, data.shape))
        require(data.tobytes() == value.tobytes(), '%s has other bits' % name)
    position = 0  # ggml wants tensors in their order, one after the other, each padded
    for tensor in reader.tensors:
        require(tensor.data_offset - reader.data_offset == position, '%s lies at another place' % tensor.name)
        position += -(-int(tensor.n_bytes) // reader.alignment) * reader.alignment
    return '%d arrays to the bit' % len(values)


def check_arrays():
    values, path, result = arrays(), place('gguf', 'arrays.npz'), place('gguf', 'arrays.gguf')
    np.savez(path, **values)
    convert(path, result)
    found = require_same(gguf.GGUFReader(result), values)
    back = place('gguf', 'arrays.back.npz')
    convert(result, back)
    again = dict(np.load(back))
    require(all(again[name].tobytes() == value.tobytes() for name, value in values.items()), 'back in npz, arrays differ')
    return found


def check_model(file, *options):
    """A model's tensors, compared with what ckpt writes for NumPy."""
    plain, result = place('gguf', 'model.npz'), place('gguf', 'model.gguf')
    convert(FIXTURES / file, plain, *options)
    convert(FIXTURES / file, result, *options)
    return require_same(gguf.GGUFReader(result), dict(np.load(plain)))


def check_long_names(file):
    """ggml reads names of 63 bytes at most, gguf-py any; Keras' own are longer, another dialect's shorter."""
    result = place('gguf', 'long.gguf')
    said = convert(FIXTURES / file, result)
    require(any('63' in note and '--to' in note for note in said['notes']), 'no note says that names are long')
    require(max(len(tensor.name) for tensor in gguf.GGUFReader(result).tensors) > 63, 'no name is long')
    result = place('gguf', 'short.gguf')
    convert(FIXTURES / file, result, '--to', 'huggingface', '--format', 'gguf')
    names = [tensor.name for tensor in gguf.GGUFReader(result).tensors]
    require(max(map(len, names)) <= 63, 'a name is too long')
    return '%d names' % len(names)


def add_values(made):
    kinds = gguf.GGUFValueType
    for kind in kinds:
        if kind == kinds.ARRAY:
            continue
        value = 'text 词' if kind == kinds.STRING else True if kind == kinds.BOOL else 5
        made.add_key_value('v.' + kind.name, value, kind)
        made.add_key_value('a.' + kind.name, [value] * 3, kinds.ARRAY, sub_type=kind)
    made.add_token_list(['a', '', '词'] * 100)


def close(made):
    made.write_header_to_file()
    made.write_kv_data_to_file()
    made.write_tensors_to_file()
    made.close()


def described(reader):
    return [(name, field.types, field.contents()) for name, field in reader.fields.items() if not name.startswith('GGUF.')]


def check_metadata(alignment):
    path, result = place('gguf', 'metadata.in.gguf'), place('gguf', 'metadata.gguf')
    made = gguf.GGUFWriter(path, 'test')
    add_values(made)
    if alignment:
        made.add_custom_alignment(alignment)
    for index in range(3):
        made.add_tensor('t.%d' % index, np.arange(5 + index, dtype='f4'))
    close(made)
    convert(path, result)
    ours, theirs = gguf.GGUFReader(result), gguf.GGUFReader(path)
    require(described(ours) == described(theirs), 'metadata differ')
    require(ours.alignment == theirs.alignment == (alignment or 32), 'alignment is %d' % ours.alignment)
    require(result.read_bytes() == path.read_bytes(), 'the files differ')
    return '%d fields' % len(theirs.fields)


def blocks(kind, random):
    """Random blocks whose scales are finite: those that gguf-py decodes to finite numbers."""
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    rows = []
    while len(rows) < 4:
        row = random.integers(0, 256, (1, 512 // elements * size), 'uint8')
        for start in range(0, row.shape[1], size):
            with np.errstate(all='ignore'):
                while not (abs(gguf.quants.dequantize(row[:, start:start + size], kind)) < 3e38).all():
                    row[:, start:start + size] = random.integers(0, 256, size, 'uint8')
        rows.append(row)
    return np.concatenate(rows)


def check_decoding(kind):
    path, result = place('gguf', kind.name + '.gguf'), place('gguf', kind.name + '.npz')
    data = blocks(kind, np.random.default_rng(int(kind)))
    made = gguf.GGUFWriter(path, 'test')
    made.add_tensor('w', data, raw_dtype=kind)
    close(made)
    convert(path, result, '--dtype', 'f32')
    ours, theirs = np.load(result)['w'], gguf.quants.dequantize(data, kind)
    require(ours.shape == theirs.shape and ours.tobytes() == theirs.tobytes(), 'decoded otherwise')
    refused = place('gguf', kind.name + '.h5')
    said = ckpt('convert', path, refused, '--overwrite', code=2)
    require('--dtype f32' in str(said['error']) and not refused.exists(), 'the refusal does not say what to do')
    same = place('gguf', kind.name + '.same.gguf')
    convert(path, same)
    require(gguf.GGUFReader(same).tensors[0].data.tobytes() == data.tobytes(), 'blocks were changed')
    return '%d numbers to the bit' % ours.size


def check_quantizing():
    """`--dtype q8_0`: matrices as gguf-py quantizes them, the rest as it was."""
    random = np.random.default_rng(3)
    values = {'matrix': random.normal(0, 1, (300, 96)), 'vector': random.normal(0, 1, 96), 'ragged': random.normal(0, 1, (5, 33)),
              'cube': random.normal(0, 100, (3, 5, 64)), 'half': random.normal(0, 1, (8, 32)), 'ids': np.arange(64).reshape(2, 32)}
    values = {name: value.astype({'half': 'f2', 'ids': 'i4'}.get(name, 'f4')) for name, value in values.items()}
    path, result = place('gguf', 'quantize.npz'), place('gguf', 'quantized.gguf')
    np.savez(path, **values)
    convert(path, result, '--dtype', 'q8_0')
    for tensor in gguf.GGUFReader(result).tensors:
        value = values[tensor.name]
        packed = tensor.name in ('matrix', 'cube', 'half')
        require((tensor.tensor_type == Type.Q8_0) == packed, '%s is %s' % (tensor.name, tensor.tensor_type.name))
        wanted = gguf.quants.quantize(value.astype('f4'), Type.Q8_0) if packed else value
        require(tensor.data.tobytes() == wanted.tobytes(), '%s is quantized otherwise' % tensor.name)
    return '%d tensors' % len(values)


def check_shards():
    folder = place('gguf', 'shards', 'x').parent
    values = {'blk.%d.weight' % index: np.full((index + 1, 3), index, 'f4') for index in range(7)}
    made = gguf.GGUFWriter(None, 'test', split_max_tensors=3)
    for name, value in values.items():
        made.add_tensor(name, value)
    made.write_header_to_file(folder / 'm.gguf')
    made.write_kv_data_to_file()
    made.write_tensors_to_file()
    made.close()
    result = place('gguf', 'joined.gguf')
    convert(folder / 'm-00002-of-00003.gguf', result)
    reader = gguf.GGUFReader(result)
    require(not any(name.startswith('split.') for name in reader.fields), 'the joined file calls itself split')
    return require_same(reader, values)


def checks():
    yield 'gguf arrays', check_arrays
    yield 'gguf names that are too long', check_long_names, 'b4k-bert/weights.h5'
    yield 'gguf model', check_model, 'hf-bert/model.safetensors'
    yield 'gguf model, renamed', check_model, 'hf-albert-groups/model.safetensors', '--apply', 'rename=albert.encoder.albert_layer_groups.*=>blk.*'
    for alignment in (None, 64):
        yield 'gguf metadata, alignment %s' % alignment, check_metadata, alignment
    for kind in DECODED:
        yield 'gguf blocks of ' + kind.name, check_decoding, kind
    yield 'gguf --dtype q8_0', check_quantizing
    yield 'gguf shards', check_shards


if __name__ == '__main__':
    run_checks(checks())
