#ifndef CKPT_CKERNELS_H
#define CKPT_CKERNELS_H

#include <stddef.h>

// Vector kernels on float arrays. Each is compiled for several instruction sets; the first call
// looks at the processor and chooses. Pointers need no alignment, arrays no padding. In and out may
// be the same array, but may not overlap otherwise. NaN goes in, NaN comes out.

/// Element-wise functions; the formulas are those of Swift's `Activation`.
enum ckpt_activation {
  CKPT_LINEAR,
  CKPT_RELU,
  CKPT_RELU6,
  CKPT_TANH,
  CKPT_SIGMOID,
  CKPT_GELU_ERF,
  CKPT_GELU_TANH,
  CKPT_GELU_QUICK,
  CKPT_SILU,
  CKPT_MISH,
  CKPT_ELU,
  CKPT_SELU,
  CKPT_SOFTPLUS,
  CKPT_SOFTSIGN,
  CKPT_EXPONENTIAL,
  CKPT_HARD_SIGMOID,
  CKPT_LEAKY_RELU,
  CKPT_SQUARED_RELU,
};

/// `y[i] = activation(x[i])`.
void ckpt_activate(enum ckpt_activation activation, const float *x, float *y, size_t count);

/// `y[i] = a[i] + b[i]`.
void ckpt_add(const float *a, const float *b, float *y, size_t count);

/// `y[i] = a[i] · b[i]`.
void ckpt_hadamard(const float *a, const float *b, float *y, size_t count);

/// Turns each pair `(x[2i], x[2i + 1])` by the angle of that cosine and sine.
void ckpt_rotate(const float *x, const float *cosines, const float *sines, float *y, size_t pairs);

/// One row of root mean square normalization: `y = gamma · x / √(mean(x²) + epsilon) + beta`. A null
/// `gamma` is 1, a null `beta` 0. A row of zeros gives `beta`.
void ckpt_rms_norm(const float *x, const float *gamma, const float *beta, float epsilon, float *y,
                   size_t width);

/// One row of layer normalization: `y = gamma · (v − mean(v)) / √(variance(v) + epsilon) + beta`,
/// where `v` is `x`, or `x + residual` when `residual` is not null. Mean first, variance of the
/// differences after it. A row without deviation gives `beta`. A null `gamma` is 1, a null `beta` 0.
void ckpt_layer_norm(const float *x, const float *residual, const float *gamma, const float *beta,
                     float epsilon, float *y, size_t width);

/// One row of softmax in place: of `scale · row`, over the elements whose `mask` is not 0. Hidden
/// elements become 0; with all of them hidden, every element becomes `1 / count`. A null mask hides
/// nothing.
void ckpt_softmax(float *row, const float *mask, float scale, size_t count);

// Matrix products. The right operand is first packed into panels: of a matrix [k, n], columns
// [0, w), [w, 2w), … each stand one after the other as [k, w] in C order, the last one filled with
// zeros; w is `ckpt_panel()`. Weights are packed when they are loaded.

/// The columns of a panel.
size_t ckpt_panel(void);

/// Packs `b`, with rows of `stride` floats: [k, n], or [n, k] when `transposed`.
void ckpt_pack(const float *b, size_t stride, int transposed, size_t k, size_t n, float *panels);

/// `c [m, n] = activation(scale · a [m, k] · b + bias)`, where `b` is packed and `bias [n]` may be
/// null. `buffer` has room for CKPT_PRODUCT_BUFFER floats.
void ckpt_multiply(size_t m, size_t n, size_t k, const float *a, size_t a_stride, float scale,
                   const float *panels, const float *bias, enum ckpt_activation activation,
                   float *c, size_t c_stride, float *buffer);

/// `y [n] = scale · a [k] · b` for one row, where packing would cost more than the product: `b` has
/// rows of `stride` floats, [k, n], or [n, k] when `transposed`.
void ckpt_multiply_row(size_t n, size_t k, const float *a, float scale, const float *b,
                       size_t stride, int transposed, float *y);

/// Places of a window in images of up to three axes. Axes that an image does not have are the first
/// ones, with an extent of 1.
struct ckpt_windows {
  /// Images one after the other, in C order, the channels of a pixel together.
  const float *x;
  /// Floats from a pixel to the next, and how many of them the window sees.
  ptrdiff_t pixel, channels;
  /// Of an image, of the window, and the places of the window.
  ptrdiff_t extent[3], window[3], places[3];
  /// The first element of the window at place 0 lies `before` elements outside of the image.
  ptrdiff_t stride[3], dilation[3], before[3];
};

/// The product of ckpt_multiply, where row i of `a` is what the window sees at place `first` + i of
/// all images, [window, channels] in C order, 0 outside of its image.
void ckpt_convolve(const struct ckpt_windows *windows, size_t first, size_t m, size_t n,
                   const float *panels, const float *bias, enum ckpt_activation activation,
                   float *c, size_t c_stride, float *buffer);

/// One row of places, along the last axis, of a convolution whose filters see one channel each:
/// `kernel [window, channels · multiplier]`, `bias [channels · multiplier]` or null,
/// `y [places, channels · multiplier]`. Here `pixel` is `channels`.
void ckpt_depthwise(const struct ckpt_windows *windows, size_t row, size_t multiplier,
                    const float *kernel, const float *bias, float *y);

/// One row of places, along the last axis: the largest element that the window sees in each channel,
/// or, if `average`, the mean. `y [places, channels]`; `pixel` is `channels`.
void ckpt_pool(const struct ckpt_windows *windows, size_t row, int average, float *y);

/// `y[i] = (x[i] − mean[i]) · scale[i] + shift[i]`.
void ckpt_standardize(const float *x, const float *mean, const float *scale, const float *shift,
                      float *y, size_t count);

// Rows of `a`, and steps of the inner dimension, that are worked on at a time: together they stay
// in the second-level cache.
enum {
  CKPT_ROW_BLOCK = 96,
  CKPT_INNER_BLOCK = 768,
  CKPT_PRODUCT_BUFFER = CKPT_ROW_BLOCK * (CKPT_INNER_BLOCK + 16),
};

// The gates of one row of a recurrent cell, once its state has been multiplied by the recurrent
// kernel. `x` is a row of the projected inputs, `sums` the product with its bias: one after the other
// the `units` of each gate, in Keras' order. The state `h` (and `c`) is replaced. Behind all arrays
// but `x` there is room for CKPT_LANES floats, which are read and written without meaning.

/// Floats of the widest vector.
enum { CKPT_LANES = 16 };

/// `h = activation(x + sums)`.
void ckpt_simple_gates(enum ckpt_activation activation, size_t units, const float *x,
                       const float *sums, float *h);

/// `x`, `sums` `[4 · units]`, gates i, f, g, o: `c = f · c + i · g`, `h = o · activation(c)`.
void ckpt_lstm_gates(enum ckpt_activation activation, enum ckpt_activation recurrent, size_t units,
                     const float *x, const float *sums, float *h, float *c);

/// `x`, `sums` `[3 · units]`, gates z, r and a candidate: `h = z · h + (1 − z) · candidate`, where the
/// candidate is `activation(x + r · sums)`.
void ckpt_gru_gates(enum ckpt_activation activation, enum ckpt_activation recurrent, size_t units,
                    const float *x, const float *sums, float *h);

/// The same with the reset before the product, first part: `reset = r · h`. Of `sums` only the first
/// two gates are read.
void ckpt_gru_reset(enum ckpt_activation recurrent, size_t units, const float *x,
                    const float *sums, const float *h, float *reset);

/// The second part: `h = z · h + (1 − z) · activation(x + candidates)`, where `candidates [units]` is
/// the product of `reset` with its columns of the recurrent kernel, and its bias.
void ckpt_gru_update(enum ckpt_activation activation, enum ckpt_activation recurrent, size_t units,
                     const float *x, const float *sums, const float *candidates, float *h);

/// The instruction set that was chosen: `avx512`, `avx2`, `baseline`.
const char *ckpt_instruction_set(void);

// What the standard library of Swift does not offer to a thread pool.

/// Tells the processor that this is a waiting loop.
static inline void ckpt_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#endif
