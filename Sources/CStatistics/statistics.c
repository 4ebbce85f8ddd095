#include "CStatistics.h"

#include <math.h>
#include <string.h>

// One copy of a loop for each instruction set: chosen when the program is loaded, or by the caller.
#if defined(__x86_64__)
#define MANY_TARGETS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define WIDE_TARGET __attribute__((target("arch=x86-64-v3")))
#define WIDEST_TARGET __attribute__((target("arch=x86-64-v4")))
#else
#define MANY_TARGETS
#define WIDE_TARGET
#define WIDEST_TARGET
#endif
#define INLINE static inline __attribute__((always_inline))

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

// Nothing is rounded in one step where some processors need two, so that all give the same; but the square
// of a single is exact in double precision, and may be added either way.
#pragma STDC FP_CONTRACT OFF
#define CONTRACT _Pragma("STDC FP_CONTRACT ON")
#define IS_EXTREME(x) 0
#define NAMED(name) name##_f32
#define NUMBER float
#define NUMBERS floats
#define BITS integers
#define MAGNITUDE 0x7fffffff
#define INFINITE 0x7f800000
#include "moments.h"

#define CONTRACT
#define IS_EXTREME(x) ((x) > 0x1p480 || (x) < 0x1p-400)
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

/// Moments that only hold zeros have any exponent.
static int is_zero(const struct ckpt_moments *moments) {
  return moments->minimum == 0 && moments->maximum == 0;
}

/// Moves the moments to a unit of 2 to the `exponent`.
static void rescale(struct ckpt_moments *moments, int32_t exponent) {
  const int step = moments->exponent - exponent;
  moments->mean = scalbn(moments->mean, step);
  moments->deviation = scalbn(moments->deviation, 2 * step);
  moments->exponent = exponent;
}

void ckpt_merge_moments(struct ckpt_moments *all, const struct ckpt_moments *more) {
  if (more->finite) {
    struct ckpt_moments next = *more;
    if (next.exponent != all->exponent) {
      if (!all->finite || is_zero(all) || (!is_zero(&next) && next.exponent > all->exponent))
        rescale(all, next.exponent);
      else
        rescale(&next, all->exponent);
    }
    // Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing sample variances (1979).
    const double count = (double)(all->finite + next.finite);
    const double part = (double)next.finite / count, step = next.mean - all->mean;
    all->deviation += next.deviation + step * step * part * (double)all->finite;
    all->mean = all->finite ? all->mean + step * part : next.mean;
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

INLINE struct ckpt_moments measure(enum ckpt_numbers type, const void *numbers, size_t count,
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

static struct ckpt_moments measure_baseline(enum ckpt_numbers type, const void *numbers,
                                            size_t count, double least_normal) {
  return measure(type, numbers, count, least_normal);
}

WIDE_TARGET static struct ckpt_moments measure_wide(enum ckpt_numbers type, const void *numbers,
                                                    size_t count, double least_normal) {
  return measure(type, numbers, count, least_normal);
}

WIDEST_TARGET static struct ckpt_moments measure_widest(enum ckpt_numbers type,
                                                        const void *numbers, size_t count,
                                                        double least_normal) {
  return measure(type, numbers, count, least_normal);
}

enum ckpt_instructions ckpt_widest_instructions(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4")) return CKPT_WIDEST;
  if (__builtin_cpu_supports("x86-64-v3")) return CKPT_WIDE;
#endif
  return CKPT_BASELINE;
}

struct ckpt_moments ckpt_measure_by(enum ckpt_instructions instructions, enum ckpt_numbers type,
                                    const void *numbers, size_t count, double least_normal) {
  switch (instructions) {
    case CKPT_BASELINE: break;
    case CKPT_WIDE: return measure_wide(type, numbers, count, least_normal);
    case CKPT_WIDEST: return measure_widest(type, numbers, count, least_normal);
  }
  return measure_baseline(type, numbers, count, least_normal);
}

struct ckpt_moments ckpt_measure(enum ckpt_numbers type, const void *numbers, size_t count,
                                 double least_normal) {
  return ckpt_measure_by(ckpt_widest_instructions(), type, numbers, count, least_normal);
}

typedef uint32_t naturals __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));
typedef uint64_t long_naturals __attribute__((vector_size(LANES * sizeof(double)), aligned(8)));

#pragma STDC FP_CONTRACT OFF
#define NAMED(name) name##_f32
#define NUMBER float
#define NUMBERS floats
#define BITS integers
#define UNSIGNED uint32_t
#define UNSIGNEDS naturals
#define MAGNITUDE 0x7fffffff
#define INFINITE 0x7f800000
#include "differences.h"

#define NAMED(name) name##_f64
#define NUMBER double
#define NUMBERS doubles
#define BITS longs
#define UNSIGNED uint64_t
#define UNSIGNEDS long_naturals
#define MAGNITUDE 0x7fffffffffffffff
#define INFINITE 0x7ff0000000000000
#include "differences.h"

/// The largest distance of two halves that are finite, in numbers of their type.
MANY_TARGETS static uint64_t half_distance(const uint16_t *first, const uint16_t *second,
                                           size_t count, int infinite) {
  int most = 0;
  for (size_t i = 0; i < count; i++) {
    const int p = first[i] & 0x7fff, q = second[i] & 0x7fff;
    const int from = first[i] & 0x8000 ? -p : p, to = second[i] & 0x8000 ? -q : q;
    const int far = from > to ? from - to : to - from;
    const int next = p < infinite && q < infinite ? far : 0;
    most = next > most ? next : most;
  }
  return (uint64_t)most;
}

static const struct ckpt_difference no_difference = {.mismatch = UINT64_MAX};

void ckpt_merge_differences(struct ckpt_difference *all, const struct ckpt_difference *more) {
  all->differing += more->differing;
  all->beyond += more->beyond;
  all->nan_first += more->nan_first;
  all->nan_second += more->nan_second;
  all->nan_both += more->nan_both;
  all->infinite += more->infinite;
  if (more->mismatch < all->mismatch) all->mismatch = more->mismatch;
  if (more->largest > all->largest) {
    all->largest = more->largest;
    all->place = more->place;
  }
  if (more->peak_first > all->peak_first) all->peak_first = more->peak_first;
  if (more->peak_second > all->peak_second) all->peak_second = more->peak_second;
  all->squared_difference += more->squared_difference;
  all->squared_first += more->squared_first;
  all->squared_second += more->squared_second;
  all->product += more->product;
  if (more->ulp > all->ulp) all->ulp = more->ulp;
}

struct ckpt_difference ckpt_differences(enum ckpt_numbers type, const void *first,
                                        const void *second, size_t count, uint64_t start,
                                        double absolute, double relative) {
  struct ckpt_difference found = no_difference;
  switch (type) {
    case CKPT_F32: compare_f32(first, second, count, start, absolute, relative, &found); break;
    case CKPT_F64: compare_f64(first, second, count, start, absolute, relative, &found); break;
    case CKPT_F16:
    case CKPT_BF16: {
      const uint16_t *a = first, *b = second;
      float wide_a[2 * BLOCK], wide_b[2 * BLOCK];
      for (size_t i = 0; i < count; i += 2 * BLOCK) {
        const size_t part = count - i < 2 * BLOCK ? count - i : 2 * BLOCK;
        (type == CKPT_F16 ? widen_f16 : widen_bf16)(a + i, part, wide_a);
        (type == CKPT_F16 ? widen_f16 : widen_bf16)(b + i, part, wide_b);
        struct ckpt_difference next = no_difference;
        compare_f32(wide_a, wide_b, part, start + i, absolute, relative, &next);
        next.ulp = half_distance(a + i, b + i, part, type == CKPT_F16 ? 0x7c00 : 0x7f80);
        ckpt_merge_differences(&found, &next);
      }
      break;
    }
  }
  return found;
}

/// Whether each half, widened, is the single rounded to its type.
MANY_TARGETS static int are_rounded(enum ckpt_numbers type, const float *singles,
                                    const float *halves, size_t count) {
  int wrong = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t x, y;
    memcpy(&x, singles + i, sizeof x);
    memcpy(&y, halves + i, sizeof y);
    const uint32_t p = x & 0x7fffffff, q = y & 0x7fffffff;
    uint32_t rounded, largest;
    if (type == CKPT_BF16) {
      rounded = (p + 0x7fff + ((p >> 16) & 1)) & 0xffff0000;
      largest = 0x7f7f0000;
    } else {
      // Below 2^-14 halves are multiples of 2^-24, as singles between a half and one are.
      float size, small;
      memcpy(&size, &p, sizeof size);
      small = (size + 0.5f) - 0.5f;
      uint32_t bits;
      memcpy(&bits, &small, sizeof bits);
      const uint32_t normal = (p + 0xfff + ((p >> 13) & 1)) & 0xffffe000;
      rounded = p < 0x38800000 ? bits : normal >= 0x47800000 ? 0x7f800000 : normal;
      largest = 0x477fe000;
    }
    const int both_nan = p > 0x7f800000 && q > 0x7f800000;
    const int same = rounded == q || (rounded == 0x7f800000 && p < 0x7f800000 && q == largest);
    const int same_sign = (x ^ y) < 0x80000000 || q == 0;
    wrong |= !(both_nan || (p <= 0x7f800000 && same && same_sign));
  }
  return !wrong;
}

struct ckpt_difference ckpt_half_differences(enum ckpt_numbers type_first, const void *first,
                                             enum ckpt_numbers type_second, const void *second,
                                             size_t count, uint64_t start, double absolute,
                                             double relative, int *is_rounding) {
  struct ckpt_difference found = no_difference;
  const int is_first = type_first != CKPT_F32;
  const enum ckpt_numbers type = is_first ? type_first : type_second;
  const float *singles = is_first ? second : first;
  const uint16_t *halves = is_first ? first : second;
  float wide[2 * BLOCK];
  for (size_t i = 0; i < count; i += 2 * BLOCK) {
    const size_t part = count - i < 2 * BLOCK ? count - i : 2 * BLOCK;
    (type == CKPT_F16 ? widen_f16 : widen_bf16)(halves + i, part, wide);
    struct ckpt_difference next = no_difference;
    compare_f32(is_first ? wide : singles + i, is_first ? singles + i : wide, part, start + i, absolute,
                relative, &next);
    if (*is_rounding && !are_rounded(type, singles + i, wide, part)) *is_rounding = 0;
    ckpt_merge_differences(&found, &next);
  }
  found.ulp = 0;
  return found;
}

struct ckpt_difference ckpt_no_difference(enum ckpt_numbers type, const void *numbers,
                                          size_t count) {
  const struct ckpt_moments moments = ckpt_measure(type, numbers, count, 0);
  struct ckpt_difference found = no_difference;
  found.nan_both = moments.nan;
  if (!moments.finite) return found;
  const double square =
      ldexp(moments.deviation + moments.mean * moments.mean * (double)moments.finite,
            2 * moments.exponent);
  found.squared_first = found.squared_second = found.product = square;
  found.peak_first = fmax(-moments.minimum, moments.maximum);
  found.peak_second = found.peak_first;
  return found;
}
