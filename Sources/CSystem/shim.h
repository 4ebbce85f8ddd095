#ifndef CKPT_CSYSTEM_SHIM_H
#define CKPT_CSYSTEM_SHIM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

// glibc declares fallocate only under _GNU_SOURCE, which Swift's Glibc module does not set.
static inline int ckpt_fallocate(int file, int64_t offset, int64_t length) {
  return (int)syscall(SYS_fallocate, file, 0, offset, length);
}

// Whether the byte at `offset` can be read without waiting for the disk (RWF_NOWAIT).
static inline int ckpt_is_cached(int file, int64_t offset) {
  char byte;
  struct iovec part = {&byte, 1};
  return syscall(SYS_preadv2, file, &part, 1, offset, 0, 8) == 1;
}

// The number of processors that this process may use, at least 1.
static inline int ckpt_available_processors(void) {
  unsigned long mask[128];
  const long size = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
  int count = 0;
  for (long i = 0; i < size / (long)sizeof *mask; i++) count += __builtin_popcountl(mask[i]);
  return count > 0 ? count : 1;
}

#endif
