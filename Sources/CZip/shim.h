#ifndef CKPT_CZIP_SHIM_H
#define CKPT_CZIP_SHIM_H

#include <zip.h>

#endif
