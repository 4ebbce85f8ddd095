#ifndef CKPT_VARIANT_H
#define CKPT_VARIANT_H

#include "CKernels.h"

/// One instruction set's kernels; the members are described in CKernels.h.
struct ckpt_kernels {
  const char *name;
  void (*activate)(enum ckpt_activation, const float *, float *, size_t);
  void (*add)(const float *, const float *, float *, size_t);
  void (*layer_norm)(const float *, const float *, const float *, const float *, float, float *,
                     size_t);
  void (*softmax)(float *, const float *, float, size_t);
};

#define KERNELS(name)                                                          \
  {                                                                            \
    name, VARIANT(activate), VARIANT(add), VARIANT(layer_norm), VARIANT(softmax) \
  }

extern const struct ckpt_kernels ckpt_baseline;
#if defined(__x86_64__)
extern const struct ckpt_kernels ckpt_avx2, ckpt_avx512;
#endif

#endif
