#ifndef CKPT_VARIANT_H
#define CKPT_VARIANT_H

#include "CKernels.h"

/// One instruction set's kernels; the members are described in CKernels.h.
struct ckpt_kernels {
  const char *name;
  /// Columns of a panel.
  size_t panel;
  void (*activate)(enum ckpt_activation, const float *, float *, size_t);
  void (*add)(const float *, const float *, float *, size_t);
  void (*hadamard)(const float *, const float *, float *, size_t);
  void (*rotate)(const float *, const float *, const float *, float *, size_t);
  void (*rms_norm)(const float *, const float *, const float *, float, float *, size_t);
  void (*layer_norm)(const float *, const float *, const float *, const float *, float, float *,
                     size_t);
  void (*softmax)(float *, const float *, float, size_t);
  void (*pack)(const float *, size_t, int, size_t, size_t, float *);
  void (*multiply)(size_t, size_t, size_t, const float *, size_t, float, const float *,
                   const float *, enum ckpt_activation, float *, size_t, float *);
  void (*multiply_row)(size_t, size_t, const float *, float, const float *, size_t, int, float *);
  void (*convolve)(const struct ckpt_windows *, size_t, size_t, size_t, const float *,
                   const float *, enum ckpt_activation, float *, size_t, float *);
  void (*depthwise)(const struct ckpt_windows *, size_t, size_t, const float *, const float *,
                    float *);
  void (*pool)(const struct ckpt_windows *, size_t, int, float *);
  void (*standardize)(const float *, const float *, const float *, const float *, float *, size_t);
  void (*simple_gates)(enum ckpt_activation, size_t, const float *, const float *, float *);
  void (*lstm_gates)(enum ckpt_activation, enum ckpt_activation, size_t, const float *,
                     const float *, float *, float *);
  void (*gru_gates)(enum ckpt_activation, enum ckpt_activation, size_t, const float *,
                    const float *, float *);
  void (*gru_reset)(enum ckpt_activation, size_t, const float *, const float *, const float *,
                    float *);
  void (*gru_update)(enum ckpt_activation, enum ckpt_activation, size_t, const float *,
                     const float *, const float *, float *);
};

#define KERNELS(name)                                                                   \
  {                                                                                     \
    name, PANEL, VARIANT(activate), VARIANT(add), VARIANT(hadamard), VARIANT(rotate),   \
        VARIANT(rms_norm), VARIANT(layer_norm), VARIANT(softmax), VARIANT(pack),        \
        VARIANT(multiply), VARIANT(multiply_row), VARIANT(convolve),                    \
        VARIANT(depthwise), VARIANT(pool), VARIANT(standardize), VARIANT(simple_gates), \
        VARIANT(lstm_gates), VARIANT(gru_gates), VARIANT(gru_reset), VARIANT(gru_update) \
  }

extern const struct ckpt_kernels ckpt_baseline;
#if defined(__x86_64__)
extern const struct ckpt_kernels ckpt_avx2, ckpt_avx512;
#endif

#endif
