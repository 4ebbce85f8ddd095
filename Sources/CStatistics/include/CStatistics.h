#ifndef CKPT_CSTATISTICS_H
#define CKPT_CSTATISTICS_H

#include <stddef.h>
#include <stdint.h>

// Counts and moments of little-endian numbers, and how two runs of them differ. Each loop is compiled for
// several instruction sets, and the processor's widest is chosen at run time; sums go in the same order in
// all, so that results are the same to the bit. Pointers need no alignment.

/// How numbers are stored.
enum ckpt_numbers { CKPT_F32, CKPT_F64, CKPT_F16, CKPT_BF16 };

/// Of some numbers; moments are of the finite ones.
struct ckpt_moments {
  uint64_t finite;
  uint64_t nan;
  uint64_t positive_infinite;
  uint64_t negative_infinite;
  /// Of both signs.
  uint64_t zeros;
  uint64_t negative_zeros;
  /// Not zero, and smaller than the type's least normal number.
  uint64_t subnormals;
  double minimum;
  double maximum;
  /// In units of 2 to the `exponent`, which is 0 unless squares would leave the range of doubles.
  double mean;
  /// Σ (x − mean)², in squares of that unit.
  double deviation;
  int32_t exponent;
};

/// The moments of `count` numbers.
///
/// `least_normal`: numbers but zero of a smaller magnitude are counted as subnormal.
struct ckpt_moments ckpt_measure(enum ckpt_numbers type, const void *numbers, size_t count,
                                 double least_normal);

/// Instruction sets that the loops are compiled for: on x86-64 its first, third and fourth level.
enum ckpt_instructions { CKPT_BASELINE, CKPT_WIDE, CKPT_WIDEST };

/// The widest that this processor has; narrower ones it has too.
enum ckpt_instructions ckpt_widest_instructions(void);

/// `ckpt_measure` by instructions of choice, which the processor must have.
struct ckpt_moments ckpt_measure_by(enum ckpt_instructions instructions, enum ckpt_numbers type,
                                    const void *numbers, size_t count, double least_normal);

/// Makes `all` the moments of its numbers and of `more`'s.
void ckpt_merge_moments(struct ckpt_moments *all, const struct ckpt_moments *more);

/// How two runs of numbers differ. NaN is equal to NaN; sums are of places where both are finite.
struct ckpt_difference {
  uint64_t differing;
  /// |a - b| > absolute + relative * |b|; what only one has as NaN or infinity is beyond all tolerance.
  uint64_t beyond;
  /// NaN where the other has none, and in both.
  uint64_t nan_first;
  uint64_t nan_second;
  uint64_t nan_both;
  /// But for NaN, infinite in one and not the same in the other.
  uint64_t infinite;
  /// Where the first number stands that NaN or infinity sets apart; UINT64_MAX where none does.
  uint64_t mismatch;
  /// The largest finite |a - b| and the first place that has it.
  double largest;
  uint64_t place;
  /// The largest finite magnitudes.
  double peak_first;
  double peak_second;
  /// Σ (a - b)², Σ a², Σ b² and Σ a·b.
  double squared_difference;
  double squared_first;
  double squared_second;
  double product;
  /// The largest distance in numbers of the type.
  uint64_t ulp;
};

/// How `count` numbers of one type differ; places count from `start`.
struct ckpt_difference ckpt_differences(enum ckpt_numbers type, const void *first,
                                        const void *second, size_t count, uint64_t start,
                                        double absolute, double relative);

/// The same for numbers of single precision against halves of one of the two types, either of which may come
/// first. `is_rounding` becomes 0 unless every half is the single rounded to nearest even, or the largest
/// half where that is infinite; distances are not counted.
struct ckpt_difference ckpt_half_differences(enum ckpt_numbers type_first, const void *first,
                                             enum ckpt_numbers type_second, const void *second,
                                             size_t count, uint64_t start, double absolute,
                                             double relative, int *is_rounding);

/// The difference of `count` equal numbers from themselves.
struct ckpt_difference ckpt_no_difference(enum ckpt_numbers type, const void *numbers,
                                          size_t count);

/// Makes `all` the difference of its runs and of `more`'s, which come later.
void ckpt_merge_differences(struct ckpt_difference *all, const struct ckpt_difference *more);

#endif
