// CRC-32C (Castagnoli), with the processor's instruction where it has one.
#ifndef CKPT_CCHECKSUM_H
#define CKPT_CCHECKSUM_H

#include <stddef.h>
#include <stdint.h>

// The checksum of what `crc` is of (0: nothing) followed by `count` bytes.
uint32_t ckpt_crc32c(uint32_t crc, const void *bytes, size_t count);

#endif
