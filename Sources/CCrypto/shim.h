#ifndef CKPT_CCRYPTO_SHIM_H
#define CKPT_CCRYPTO_SHIM_H

#include <openssl/evp.h>

#endif
