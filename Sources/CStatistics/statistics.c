#include "CStatistics.h"

#include <math.h>
#include <string.h>

// One copy of a loop for each instruction set, chosen when the program is loaded.
#if defined(__x86_64__)
#define MANY_TARGETS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MANY_TARGETS
#endif

// Sums go by this many lanes, whatever the processor has; a block of them is looked at as a whole.
enum { LANES = 16, BLOCK = 1024 };
typedef float floats __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));
typedef int32_t integers __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));
typedef double doubles __attribute__((vector_size(LANES * sizeof(double)), aligned(8)));
typedef int64_t longs __attribute__((vector_size(LANES * sizeof(double)), aligned(8)));

/// Σ x and Σ x².
struct sums {
  double first;
  double second;
};

// The square of a single is exact in double precision, so it may be added in one step or in two.
#pragma STDC FP_CONTRACT ON
#define NAMED(name) name##_f32
#define NUMBER float
#define NUMBERS floats
#define BITS integers
#define MAGNITUDE 0x7fffffff
#define INFINITE 0x7f800000
#include "moments.h"

#pragma STDC FP_CONTRACT OFF
#define NAMED(name) name##_f64
#define NUMBER double
#define NUMBERS doubles
#define BITS longs
#define MAGNITUDE 0x7fffffffffffffff
#define INFINITE 0x7ff0000000000000
#include "moments.h"

// Half precision as single: the exponent is moved by a product, which also makes subnormals normal.
MANY_TARGETS static void widen_f16(const uint16_t *halves, size_t count, float *numbers) {
  for (size_t i = 0; i < count; i++) {
    const uint32_t magnitude = halves[i] & 0x7fff, sign = (uint32_t)(halves[i] & 0x8000) << 16;
    const uint32_t shifted = magnitude << 13;
    float number;
    memcpy(&number, &shifted, sizeof number);
    number *= 0x1p112f;
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    bits = (magnitude >= 0x7c00 ? shifted | 0x7f800000 : bits) | sign;
    memcpy(numbers + i, &bits, sizeof bits);
  }
}

MANY_TARGETS static void widen_bf16(const uint16_t *halves, size_t count, float *numbers) {
  for (size_t i = 0; i < count; i++) {
    const uint32_t bits = (uint32_t)halves[i] << 16;
    memcpy(numbers + i, &bits, sizeof bits);
  }
}

static const struct ckpt_moments nothing = {.minimum = INFINITY, .maximum = -INFINITY};

void ckpt_merge_moments(struct ckpt_moments *all, const struct ckpt_moments *more) {
  if (more->finite) {
    // Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing sample variances (1979).
    const double count = (double)(all->finite + more->finite);
    const double part = (double)more->finite / count, step = more->mean - all->mean;
    all->deviation += more->deviation + step * step * part * (double)all->finite;
    all->mean = all->finite ? all->mean + step * part : more->mean;
  }
  all->finite += more->finite;
  all->nan += more->nan;
  all->positive_infinite += more->positive_infinite;
  all->negative_infinite += more->negative_infinite;
  all->zeros += more->zeros;
  all->negative_zeros += more->negative_zeros;
  all->subnormals += more->subnormals;
  if (more->minimum < all->minimum) all->minimum = more->minimum;
  if (more->maximum > all->maximum) all->maximum = more->maximum;
}

struct ckpt_moments ckpt_measure(enum ckpt_numbers type, const void *numbers, size_t count,
                                 double least_normal) {
  struct ckpt_moments found = nothing;
  switch (type) {
    case CKPT_F32: moments_f32(numbers, count, least_normal, &found); break;
    case CKPT_F64: moments_f64(numbers, count, least_normal, &found); break;
    case CKPT_F16:
    case CKPT_BF16: {
      const uint16_t *halves = numbers;
      float wide[4 * BLOCK];
      for (size_t i = 0; i < count; i += 4 * BLOCK) {
        const size_t part = count - i < 4 * BLOCK ? count - i : 4 * BLOCK;
        (type == CKPT_F16 ? widen_f16 : widen_bf16)(halves + i, part, wide);
        struct ckpt_moments next = nothing;
        moments_f32(wide, part, least_normal, &next);
        ckpt_merge_moments(&found, &next);
      }
      break;
    }
  }
  return found;
}
