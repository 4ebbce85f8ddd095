"""What users do today: an h5 or a torch file to safetensors with the libraries' own means."""
import sys


def read(path):
    if path.endswith('.h5'):
        import h5py

        tensors = {}
        with h5py.File(path) as file:
            file.visititems(lambda name, item: tensors.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
        return tensors
    import torch

    return {name: tensor.numpy() for name, tensor in torch.load(path, weights_only=True).items()}


def main(source, target):
    from safetensors.numpy import save_file

    save_file(read(source), target)


main(*sys.argv[1:])
