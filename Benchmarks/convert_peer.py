"""What people write to get from Keras HDF5 to safetensors."""
import sys

import h5py
import numpy as np
from safetensors.numpy import save_file

tensors = {}


def visit(name, item):
    if isinstance(item, h5py.Dataset):
        tensors[name] = np.asarray(item)


with h5py.File(sys.argv[1]) as file:
    file.visititems(visit)
save_file(tensors, sys.argv[2])
