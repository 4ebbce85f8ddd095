// Chooses an instruction set once, and calls through its table. A table rather than the loader's
// ifunc: it works with every linker and C library, and a test can name the variant.
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "variant.h"

static const struct ckpt_kernels *choose_kernels(void) {
  // For tests and comparisons: at most this instruction set.
  const char *limit = getenv("CKPT_INSTRUCTION_SET");
  if (limit && strcmp(limit, "baseline") == 0) return &ckpt_baseline;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return &ckpt_baseline;
  if (limit && strcmp(limit, "avx2") == 0) return &ckpt_avx2;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) {
    return &ckpt_avx512;
  }
  return &ckpt_avx2;
#else
  return &ckpt_baseline;
#endif
}

static const struct ckpt_kernels *kernels(void) {
  static _Atomic(const struct ckpt_kernels *) chosen;
  const struct ckpt_kernels *table = atomic_load_explicit(&chosen, memory_order_acquire);
  if (!table) {
    table = choose_kernels();
    atomic_store_explicit(&chosen, table, memory_order_release);
  }
  return table;
}

const char *ckpt_instruction_set(void) { return kernels()->name; }

void ckpt_activate(enum ckpt_activation activation, const float *x, float *y, size_t count) {
  kernels()->activate(activation, x, y, count);
}

void ckpt_add(const float *a, const float *b, float *y, size_t count) {
  kernels()->add(a, b, y, count);
}

void ckpt_hadamard(const float *a, const float *b, float *y, size_t count) {
  kernels()->hadamard(a, b, y, count);
}

void ckpt_rotate(const float *x, const float *cosines, const float *sines, float *y, size_t pairs) {
  kernels()->rotate(x, cosines, sines, y, pairs);
}

void ckpt_rms_norm(const float *x, const float *gamma, const float *beta, float epsilon, float *y,
                   size_t width) {
  kernels()->rms_norm(x, gamma, beta, epsilon, y, width);
}

void ckpt_layer_norm(const float *x, const float *residual, const float *gamma, const float *beta,
                     float epsilon, float *y, size_t width) {
  kernels()->layer_norm(x, residual, gamma, beta, epsilon, y, width);
}

void ckpt_softmax(float *row, const float *mask, float scale, size_t count) {
  kernels()->softmax(row, mask, scale, count);
}

size_t ckpt_panel(void) { return kernels()->panel; }

void ckpt_pack(const float *b, size_t stride, int transposed, size_t k, size_t n, float *panels) {
  kernels()->pack(b, stride, transposed, k, n, panels);
}

void ckpt_multiply(size_t m, size_t n, size_t k, const float *a, size_t a_stride, float scale,
                   const float *panels, const float *bias, enum ckpt_activation activation,
                   float *c, size_t c_stride, float *buffer) {
  kernels()->multiply(m, n, k, a, a_stride, scale, panels, bias, activation, c, c_stride, buffer);
}

void ckpt_multiply_row(size_t n, size_t k, const float *a, float scale, const float *b,
                       size_t stride, int transposed, float *y) {
  kernels()->multiply_row(n, k, a, scale, b, stride, transposed, y);
}

void ckpt_convolve(const struct ckpt_windows *windows, size_t first, size_t m, size_t n,
                   const float *panels, const float *bias, enum ckpt_activation activation,
                   float *c, size_t c_stride, float *buffer) {
  kernels()->convolve(windows, first, m, n, panels, bias, activation, c, c_stride, buffer);
}

void ckpt_depthwise(const struct ckpt_windows *windows, size_t row, size_t multiplier,
                    const float *kernel, const float *bias, float *y) {
  kernels()->depthwise(windows, row, multiplier, kernel, bias, y);
}

void ckpt_pool(const struct ckpt_windows *windows, size_t row, int average, float *y) {
  kernels()->pool(windows, row, average, y);
}

void ckpt_standardize(const float *x, const float *mean, const float *scale, const float *shift,
                      float *y, size_t count) {
  kernels()->standardize(x, mean, scale, shift, y, count);
}

void ckpt_simple_gates(enum ckpt_activation activation, size_t units, const float *x,
                       const float *sums, float *h) {
  kernels()->simple_gates(activation, units, x, sums, h);
}

void ckpt_lstm_gates(enum ckpt_activation activation, enum ckpt_activation recurrent, size_t units,
                     const float *x, const float *sums, float *h, float *c) {
  kernels()->lstm_gates(activation, recurrent, units, x, sums, h, c);
}

void ckpt_gru_gates(enum ckpt_activation activation, enum ckpt_activation recurrent, size_t units,
                    const float *x, const float *sums, float *h) {
  kernels()->gru_gates(activation, recurrent, units, x, sums, h);
}

void ckpt_gru_reset(enum ckpt_activation recurrent, size_t units, const float *x,
                    const float *sums, const float *h, float *reset) {
  kernels()->gru_reset(recurrent, units, x, sums, h, reset);
}

void ckpt_gru_update(enum ckpt_activation activation, enum ckpt_activation recurrent, size_t units,
                     const float *x, const float *sums, const float *candidates, float *h) {
  kernels()->gru_update(activation, recurrent, units, x, sums, candidates, h);
}
