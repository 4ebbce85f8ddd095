// The loops of ckpt_measure for one type of numbers, included once for each. Before it are defined:
//   NAMED(name)   a name of this type's own
//   NUMBER        the type; NUMBERS and BITS, vectors of LANES of them and of integers as wide
//   CONTRACT      allows a product and a sum in one step where that changes no result
//   IS_EXTREME(x) whether sums of squares of such numbers may leave the range of doubles
//   MAGNITUDE     the bits without the sign; INFINITE, the bits of infinity

#define CHOOSE(condition, a, b) \
  ((NUMBERS)(((BITS)(a) & (condition)) | ((BITS)(b) & ~(condition))))

/// One number after the other.
static void NAMED(slowly)(const NUMBER *numbers, size_t count, double least_normal,
                          struct ckpt_moments *found, struct sums *sums) {
  for (size_t i = 0; i < count; i++) {
    double x = numbers[i];
    if (isnan(x)) {
      found->nan++;
      continue;
    }
    if (isinf(x)) {
      if (x > 0) found->positive_infinite++;
      else found->negative_infinite++;
      continue;
    }
    if (x == 0) {
      found->zeros++;
      found->negative_zeros += signbit(x) != 0;
    } else if (fabs(x) < least_normal) {
      found->subnormals++;
    }
    found->finite++;
    sums->first += x;
    sums->second += x * x;
    if (x < found->minimum) found->minimum = x;
    if (x > found->maximum) found->maximum = x;
  }
}

/// A whole block; false, and nothing done, when not all of it is finite.
INLINE int NAMED(block)(const NUMBER *numbers, double least_normal, struct ckpt_moments *found,
                        struct sums *sums) {
  CONTRACT
  NUMBERS low, high;
  memcpy(&low, numbers, sizeof low);
  high = low;
  BITS smallest = (BITS)low & MAGNITUDE, largest = smallest;
  doubles first = {0}, second = {0};
  for (size_t i = 0; i < BLOCK; i += LANES) {
    NUMBERS x;
    memcpy(&x, numbers + i, sizeof x);
    // Numbers have the order of their magnitudes' bits, and what is not finite comes after them.
    const BITS magnitude = (BITS)x & MAGNITUDE;
    smallest = __builtin_elementwise_min(smallest, magnitude);
    largest = __builtin_elementwise_max(largest, magnitude);
    low = CHOOSE(x < low, x, low);
    high = CHOOSE(x > high, x, high);
    const doubles wide = __builtin_convertvector(x, doubles);
    first += wide;
    second += wide * wide;
  }
  if (__builtin_reduce_max(largest) >= INFINITE) return 0;
  const BITS least = (BITS)((NUMBERS){0} + (NUMBER)least_normal);
  if (__builtin_reduce_min(smallest) < least[0]) {
    BITS small = {0}, zero = {0}, negative = {0};
    for (size_t i = 0; i < BLOCK; i += LANES) {
      BITS x;
      memcpy(&x, numbers + i, sizeof x);
      // A comparison gives −1 where it holds.
      const BITS is_zero = (x & MAGNITUDE) == 0;
      small -= (x & MAGNITUDE) < least;
      zero -= is_zero;
      negative -= is_zero & (x < 0);
    }
    for (int lane = 0; lane < LANES; lane++) {
      found->zeros += (uint64_t)zero[lane];
      found->negative_zeros += (uint64_t)negative[lane];
      found->subnormals += (uint64_t)(small[lane] - zero[lane]);
    }
  }
  found->finite += BLOCK;
  for (int lane = 0; lane < LANES; lane++) {
    sums->first += first[lane];
    sums->second += second[lane];
    if (low[lane] < found->minimum) found->minimum = low[lane];
    if (high[lane] > found->maximum) found->maximum = high[lane];
  }
  return 1;
}

/// The same about a mean that is known, where squares of the numbers themselves have lost too much.
static void NAMED(center)(const NUMBER *numbers, size_t count, struct ckpt_moments *found) {
  struct sums sums = {0};
  for (size_t i = 0; i < count; i++) {
    if (!isfinite(numbers[i])) continue;
    const double d = numbers[i] - found->mean;
    sums.first += d;
    sums.second += d * d;
  }
  const double shift = sums.first / (double)found->finite;
  found->mean += shift;
  found->deviation = sums.second - sums.first * shift;
}

/// The same in units of a power of two, where squares or their sum leave the range of doubles.
static void NAMED(scaled)(const NUMBER *numbers, size_t count, struct ckpt_moments *found) {
  const double largest = fmax(-found->minimum, found->maximum);
  found->exponent = ilogb(largest);
  double first = 0, second = 0;
  for (size_t i = 0; i < count; i++) {
    if (isfinite(numbers[i])) first += scalbn(numbers[i], -found->exponent);
  }
  found->mean = first / (double)found->finite;
  first = 0;
  for (size_t i = 0; i < count; i++) {
    if (!isfinite(numbers[i])) continue;
    const double d = scalbn(numbers[i], -found->exponent) - found->mean;
    first += d;
    second += d * d;
  }
  const double shift = first / (double)found->finite;
  found->mean += shift;
  found->deviation = second - first * shift;
}

INLINE void NAMED(moments)(const NUMBER *numbers, size_t count, double least_normal,
                           struct ckpt_moments *found) {
  struct sums sums = {0};
  size_t i = 0;
  for (; i + BLOCK <= count; i += BLOCK) {
    if (!NAMED(block)(numbers + i, least_normal, found, &sums))
      NAMED(slowly)(numbers + i, BLOCK, least_normal, found, &sums);
  }
  NAMED(slowly)(numbers + i, count - i, least_normal, found, &sums);
  if (!found->finite) return;
  found->mean = sums.first / (double)found->finite;
  found->deviation = sums.second - sums.first * found->mean;
  if (found->minimum == found->maximum) {
    found->mean = found->minimum;
    found->deviation = 0;
    // A unit in which the square, and that of a difference to others, stays in range.
    if (found->mean != 0 && IS_EXTREME(fabs(found->mean))) {
      found->exponent = ilogb(found->mean);
      found->mean = scalbn(found->mean, -found->exponent);
    }
  } else if (IS_EXTREME(fmax(-found->minimum, found->maximum))) {
    NAMED(scaled)(numbers, count, found);
  } else if (!(found->deviation >= 1e-6 * sums.second)) {
    NAMED(center)(numbers, count, found);
  }
}

#undef CONTRACT
#undef IS_EXTREME
#undef CHOOSE
#undef NAMED
#undef NUMBER
#undef NUMBERS
#undef BITS
#undef MAGNITUDE
#undef INFINITE
