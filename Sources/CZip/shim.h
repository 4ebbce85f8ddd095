#ifndef CKPT_CZIP_SHIM_H
#define CKPT_CZIP_SHIM_H

#include <zip.h>
#include <zlib.h>

// zlib comes with libzip, which is built on it; here it only computes CRC-32.
static inline unsigned int ckpt_crc32(unsigned int crc, const void *bytes, size_t count) {
  return (unsigned int)crc32_z(crc, (const Bytef *)bytes, count);
}

#endif
