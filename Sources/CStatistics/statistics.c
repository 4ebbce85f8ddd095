#include "CStatistics.h"
#include "numbers.h"

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
