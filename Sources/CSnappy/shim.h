#ifndef CKPT_CSNAPPY_SHIM_H
#define CKPT_CSNAPPY_SHIM_H

#include <stddef.h>

#include <snappy-c.h>

#endif
