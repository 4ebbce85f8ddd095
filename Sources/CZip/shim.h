#ifndef CKPT_CZIP_SHIM_H
#define CKPT_CZIP_SHIM_H

#include <zip.h>
#include <zlib.h>

// zlib comes with libzip, which is built on it; here it computes CRC-32 and unpacks gzip.
static inline unsigned int ckpt_crc32(unsigned int crc, const void *bytes, size_t count) {
  return (unsigned int)crc32_z(crc, (const Bytef *)bytes, count);
}

// inflateInit2 is a macro; 16 added to the window's bits asks for gzip's header and checksum.
static inline int ckpt_gunzip_start(z_stream *stream) {
  return inflateInit2(stream, 15 + 16);
}

#endif
