"""ckpt reads the tensors that onnx, PyTorch's exporter and onnxruntime put into models."""
import numpy as np
import onnx
import onnxruntime
import safetensors.numpy
import torch
from onnx import TensorProto, helper, numpy_helper

from common import ckpt, convert, place, require, run_checks

KINDS = [TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.INT64, TensorProto.INT32, TensorProto.INT16, TensorProto.INT8,
         TensorProto.UINT64, TensorProto.UINT32, TensorProto.UINT16, TensorProto.UINT8, TensorProto.BOOL]


def tensors():
    """Random bits of every type, as raw bytes and as numbers."""
    random, made = np.random.default_rng(23), []
    for kind in KINDS:
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        raw = random.integers(0, 2, 60, 'uint8') if dtype == np.bool_ else random.integers(0, 256, 60 * dtype.itemsize, 'uint8')
        values = raw.view(dtype)
        for shape in [(60,), (3, 4, 5), (2, 3, 1, 2, 5)]:
            made.append(numpy_helper.from_array(values.reshape(shape), '%s raw %d' % (dtype, len(shape))))
        if dtype.kind != 'f':
            made.append(helper.make_tensor('%s numbers' % dtype, kind, (60,), values.tolist()))
        made.append(numpy_helper.from_array(np.zeros((2, 0), dtype), '%s empty' % dtype))
        made.append(numpy_helper.from_array(np.array(values[3]), '%s number' % dtype))
    return made


def initializers(path):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}


def require_same(path, wanted):
    """What ckpt makes of the model, read by safetensors."""
    result = path.with_suffix('.safetensors')
    convert(path, result)
    found = safetensors.numpy.load_file(result)
    missing = set(wanted) - set(found)
    require(not missing, 'missing: %s' % sorted(missing)[:4])
    for name, value in wanted.items():
        require(found[name].dtype == value.dtype and found[name].shape == value.shape, '%s is %s %s' % (name, found[name].dtype, found[name].shape))
        require(found[name].tobytes() == value.tobytes(), '%s has other bits' % name)
    return '%d tensors to the bit' % len(wanted)


def check_types(external):
    path = place('onnx', 'external' if external else 'inside', 'types.onnx')
    model = helper.make_model(helper.make_graph([], 'g', [], [], tensors()), producer_name='interop')
    if external:
        for old in path.parent.glob('data*'):
            old.unlink()
        onnx.save_model(model, path, save_as_external_data=True, all_tensors_to_one_file=True, location='data.bin', size_threshold=16)
    else:
        onnx.save(model, path)
    return require_same(path, initializers(path))


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 5, 3)
        self.norm = torch.nn.BatchNorm2d(5)
        self.linear = torch.nn.Linear(5, 7)

    def forward(self, x):
        return self.linear(torch.relu(self.norm(self.convolution(x))).mean((2, 3)))


def exported():
    path = place('onnx', 'net.onnx')
    torch.manual_seed(0)
    net = Net().eval()
    torch.onnx.export(net, (torch.zeros(1, 3, 8, 8),), str(path), dynamo=False, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
                      input_names=['x'], output_names=['y'])
    return net, path


def check_exported():
    net, path = exported()
    wanted = {name: value.numpy() for name, value in net.state_dict().items() if 'num_batches' not in name}
    kept = initializers(path)
    wanted = {name: value for name, value in wanted.items() if name in kept}
    require(len(wanted) >= 6, 'the exporter kept only %d names' % len(wanted))
    return require_same(path, wanted)


def check_optimized():
    """The model as onnxruntime rewrites it before running."""
    _, path = exported()
    result = place('onnx', 'optimized.onnx')
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(result)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    return require_same(result, initializers(result))


def check_read_only():
    path = place('onnx', 'inside', 'types.onnx')
    said = ckpt('convert', path, place('onnx', 'no.onnx'), '--overwrite', code=64)
    require('read only' in said['error']['message'], 'it is not said that ONNX is read only')
    return 'said'


def checks():
    yield 'onnx types', check_types, False
    yield 'onnx external data', check_types, True
    yield 'onnx exported by PyTorch', check_exported
    yield 'onnx optimized by onnxruntime', check_optimized
    yield 'onnx is read only', check_read_only


if __name__ == '__main__':
    run_checks(checks())
