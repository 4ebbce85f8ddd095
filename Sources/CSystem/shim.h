#ifndef CKPT_CSYSTEM_SHIM_H
#define CKPT_CSYSTEM_SHIM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

// glibc declares copy_file_range only under _GNU_SOURCE, which Swift's Glibc module does not set.
static inline ssize_t ckpt_copy_file_range(int in, int64_t *in_offset, int out, int64_t *out_offset,
                                           size_t length) {
  return (ssize_t)syscall(SYS_copy_file_range, in, in_offset, out, out_offset, length, 0U);
}

#endif
