"""PyTorch reads what ckpt writes, weights only and mapped, to the bit; ckpt reads what PyTorch writes; transformers loads both."""
import collections
import warnings

import numpy as np
import safetensors.torch
import torch
import transformers

from common import FIXTURES, ckpt, convert, place, require, run_checks

NAMES = {
    'float64': 'f64', 'float32': 'f32', 'float16': 'f16', 'bfloat16': 'bf16', 'int64': 'i64', 'int32': 'i32', 'int16': 'i16', 'int8': 'i8',
    'uint64': 'u64', 'uint32': 'u32', 'uint16': 'u16', 'uint8': 'u8', 'bool': 'bool', 'complex64': 'c64', 'float8_e4m3fn': 'f8_e4m3',
    'float8_e5m2': 'f8_e5m2', 'float8_e4m3fnuz': 'f8_e4m3fnuz', 'float8_e5m2fnuz': 'f8_e5m2fnuz', 'float8_e8m0fnu': 'f8_e8m0',
}


def raw(tensor):
    """The bytes in C order."""
    tensor = tensor.detach().contiguous()
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b''


def require_equal(ours, theirs, ordered=True):
    require(list(ours) == list(theirs) if ordered else set(ours) == set(theirs), 'names differ: %s' % sorted(set(ours) ^ set(theirs))[:4])
    for name, value in theirs.items():
        require(ours[name].dtype == value.dtype, '%s is %s, expected %s' % (name, ours[name].dtype, value.dtype))
        require(ours[name].shape == value.shape, '%s has shape %s, expected %s' % (name, ours[name].shape, value.shape))
        require(raw(ours[name]) == raw(value), '%s has other bits' % name)
    return '%d tensors to the bit' % len(theirs)


def load(path):
    """What torch.load gives, which has to be the same when the file is mapped."""
    loaded = torch.load(path, weights_only=True)
    require(type(loaded) is collections.OrderedDict, 'is a %s' % type(loaded))
    require_equal(torch.load(path, weights_only=True, mmap=True), loaded)
    return loaded


def tensors():
    """Every type with any bits, a single number, emptiness; names of other scripts."""
    random, made = np.random.default_rng(21), collections.OrderedDict()
    for name in NAMES:
        dtype = getattr(torch, name)
        size = torch.empty((), dtype=dtype).element_size()
        bits = random.integers(0, 2 if name == 'bool' else 256, 24 * size, 'uint8')
        made[name] = torch.from_numpy(bits).view(dtype).reshape(2, 3, 4)
        made[name + '.number'] = made[name][1, 1, 1].clone()
        made[name + '.empty'] = torch.zeros((2, 0, 3)).to(dtype)
    made['层.0/权重 "quoted"'] = torch.arange(3)
    return made


def check_written(source, *options):
    """Any checkpoint as a PyTorch file: what safetensors gives for the same one is what torch.load gives."""
    result, twin = place('torch', 'written.pt'), place('torch', 'written.safetensors')
    convert(FIXTURES / source, result, *options)
    convert(FIXTURES / source, twin, *options)
    return require_equal(load(result), safetensors.torch.load_file(twin), ordered=False)


def check_types(**options):
    """Every type from PyTorch through ckpt to PyTorch."""
    source, result = place('torch', 'types.in.pt'), place('torch', 'types.pt')
    given = tensors()
    if options:  # the stream takes the types that have a storage class
        given = collections.OrderedDict((name, value) for name, value in given.items() if not name.startswith(('uint16', 'uint32', 'uint64', 'float8')))
    torch.save(given, source, **options)
    listed = {tensor['name']: (tensor['dtype'], tuple(tensor['shape'])) for tensor in ckpt('ls', source)['tensors']}
    require(listed == {name: (NAMES[str(value.dtype).removeprefix('torch.')], tuple(value.shape)) for name, value in given.items()}, 'ckpt ls says otherwise')
    convert(source, result)
    return require_equal(load(result), given)


def check_views(**options):
    """Random views of shared storages: strides, offsets, expanded axes."""
    random = np.random.default_rng(22)
    base = torch.from_numpy(random.standard_normal((7, 5, 6, 4)).astype('float32'))
    given = collections.OrderedDict(base=base, tied=base)
    for number in range(60):
        view = base.permute(*random.permutation(4).tolist())
        view = view[tuple(slice(int(random.integers(0, extent)), None, int(random.integers(1, 3))) for extent in view.shape)]
        if number % 3 == 0:
            view = view[:, 0]
        if number % 5 == 0:
            view = view.unsqueeze(1).expand(-1, 3, *[-1] * (view.dim() - 1))
        given['view.%d' % number] = view
    source, result = place('torch', 'views.in.pt'), place('torch', 'views.pt')
    torch.save(given, source, **options)
    convert(source, result)
    found = load(result)
    require(found['tied'].data_ptr() == found['base'].data_ptr(), 'tied tensors became two')
    return require_equal(found, given)


def check_training():
    """A model, Adam's state and numbers, flattened; through HDF5-like detours nothing changes."""
    torch.manual_seed(23)
    model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.LayerNorm(7), torch.nn.Linear(7, 3))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(4, 5)).sum().backward()
    optimizer.step()
    source, middle, result = place('torch', 'training.in.pt'), place('torch', 'training.safetensors'), place('torch', 'training.pt')
    torch.save({'model': model.state_dict(), 'optimizer': optimizer.state_dict(), 'epoch': 2}, source)
    convert(source, middle)
    convert(middle, result)
    wanted = {'model.' + name: value for name, value in model.state_dict().items()}
    for number, state in optimizer.state_dict()['state'].items():
        wanted.update({'optimizer.state.%d.%s' % (number, name): value for name, value in state.items()})
    return require_equal(load(result), wanted, ordered=False)


def check_script():
    """The parameters and buffers of a TorchScript archive."""
    torch.manual_seed(24)
    model = torch.nn.Sequential(torch.nn.Conv1d(3, 4, 2), torch.nn.BatchNorm1d(4))
    source, result = place('torch', 'script.in.pt'), place('torch', 'script.pt')
    torch.jit.script(model).save(str(source))
    convert(source, result)
    return require_equal(load(result), model.state_dict(), ordered=False)


def check_module():
    """A whole module is refused, with what to do."""
    path, result = place('torch', 'module.pt'), place('torch', 'module.safetensors')
    torch.save(torch.nn.Linear(2, 2), path)
    said = ckpt('convert', path, result, code=2)
    message = said['error']['message'] + str(said['error'].get('hint', ''))
    require('torch.nn.modules.linear.Linear' in message and 'state_dict' in message, message)
    require(not result.exists(), 'something was written')
    return 'refused'


def check_transformers(options, folder):
    """A folder with pytorch_model.bin, single or sharded: transformers loads it without missing or unexpected keys."""
    target = place('torch', folder)
    convert(FIXTURES / 'b4k-bert' / 'weights.h5', target, '--to', 'huggingface', '--format', 'torch', *options)
    require(any(target.glob('pytorch_model*.bin')), 'no pytorch_model.bin')
    model, info = transformers.BertForPreTraining.from_pretrained(target, output_loading_info=True)
    require(not any(info.values()), str(info))
    single = place('torch', folder + '.safetensors-twin')
    convert(FIXTURES / 'b4k-bert' / 'weights.h5', single, '--to', 'huggingface')
    return require_equal(dict(model.state_dict()), dict(transformers.BertForPreTraining.from_pretrained(single).state_dict()), ordered=False)


def check_tied():
    """transformers' own pytorch_model.bin with tied weights, as safetensors: written once, and loaded without missing keys."""
    config = transformers.BertConfig(vocab_size=31, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, max_position_embeddings=12)
    torch.manual_seed(25)
    model = transformers.BertForMaskedLM(config)
    source, target = place('torch', 'tied.bin.folder'), place('torch', 'tied')
    source.mkdir(exist_ok=True)
    target.mkdir(exist_ok=True)
    state = model.state_dict()
    torch.save(state, source / 'pytorch_model.bin')
    config.save_pretrained(source)
    config.save_pretrained(target)
    convert(source / 'pytorch_model.bin', target / 'model.safetensors')
    stored = safetensors.torch.load_file(target / 'model.safetensors')
    require(len(stored) < len(state), 'tied weights were written twice')
    loaded, info = transformers.BertForMaskedLM.from_pretrained(target, output_loading_info=True)
    require(not any(info.values()), str(info))
    back = place('torch', 'tied-back.pt')
    convert(target / 'model.safetensors', back)
    require_equal(load(back), state)
    return require_equal(dict(loaded.state_dict()), dict(state), ordered=False)


def checks():
    for source in ('b4k-bert/weights.h5', 'b4k-albert/model.h5', 'hf-bert/model.safetensors', 'npz/savez.npz', 'tiny-albert/weights.h5'):
        yield 'torch from ' + source, check_written, source
    for dtype in ('bf16', 'f16'):
        yield 'torch --dtype ' + dtype, check_written, 'b4k-bert/weights.h5', '--dtype', dtype
    yield 'torch types', check_types
    yield 'torch views', check_views
    warnings.simplefilter('ignore')
    for number, kind in enumerate(({'_use_new_zipfile_serialization': False}, {'_use_new_zipfile_serialization': False, 'pickle_protocol': 4}, {'pickle_protocol': 5})):
        yield 'torch types written otherwise, %d' % number, lambda kind=kind: check_types(**kind)
        yield 'torch views written otherwise, %d' % number, lambda kind=kind: check_views(**kind)
    yield 'torch training', check_training
    yield 'torch script', check_script
    yield 'torch module', check_module
    yield 'torch transformers', check_transformers, [], 'hf'
    yield 'torch transformers shards', check_transformers, ['--max-shard-size', '60KB'], 'hf-shards'
    yield 'torch tied', check_tied


if __name__ == '__main__':
    run_checks(checks())
