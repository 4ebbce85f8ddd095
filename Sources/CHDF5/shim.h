#ifndef CKPT_CHDF5_SHIM_H
#define CKPT_CHDF5_SHIM_H

#include <hdf5.h>

#endif
