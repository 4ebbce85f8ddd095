// The loops of ckpt_differences for one type of numbers, included once for each. Before it are defined:
//   NAMED(name)   a name of this type's own
//   NUMBER        the type; NUMBERS and BITS, vectors of LANES of them and of integers as wide
//   UNSIGNED      such an integer without sign
//   MAGNITUDE     the bits without the sign; INFINITE, the bits of infinity

#define CHOOSE(condition, a, b) ((doubles)(((longs)(a) & (condition)) | ((longs)(b) & ~(condition))))

/// How many numbers of the type lie between two.
static inline uint64_t NAMED(distance)(NUMBER a, NUMBER b) {
  UNSIGNED x, y;
  memcpy(&x, &a, sizeof x);
  memcpy(&y, &b, sizeof y);
  const UNSIGNED p = x & MAGNITUDE, q = y & MAGNITUDE;
  if ((x ^ y) & ~(UNSIGNED)MAGNITUDE) return (uint64_t)p + (uint64_t)q;
  return p > q ? p - q : q - p;
}

/// One number after the other.
static void NAMED(compare_slowly)(const NUMBER *first, const NUMBER *second, size_t count,
                                  uint64_t start, double absolute, double relative,
                                  struct ckpt_difference *found) {
  for (size_t i = 0; i < count; i++) {
    const double a = first[i], b = second[i];
    const double size_a = fabs(a), size_b = fabs(b);
    if (isfinite(a) && size_a > found->peak_first) found->peak_first = size_a;
    if (isfinite(b) && size_b > found->peak_second) found->peak_second = size_b;
    if (isfinite(a) && isfinite(b)) {
      const double d = fabs(a - b);
      found->squared_difference += d * d;
      found->squared_first += a * a;
      found->squared_second += b * b;
      found->product += a * b;
      if (a == b) continue;
      found->differing++;
      found->beyond += d > absolute + relative * size_b;
      const uint64_t ulp = NAMED(distance)(first[i], second[i]);
      if (ulp > found->ulp) found->ulp = ulp;
      if (d > found->largest) {
        found->largest = d;
        found->place = start + i;
      }
      continue;
    }
    if (isnan(a) && isnan(b)) {
      found->nan_both++;
      continue;
    }
    if (a == b) continue;
    found->differing++;
    found->beyond++;
    if (isnan(a)) found->nan_first++;
    else if (isnan(b)) found->nan_second++;
    else found->infinite++;
    if (start + i < found->mismatch) found->mismatch = start + i;
  }
}

/// A whole block; false, and nothing done, when not all of it is finite.
static inline __attribute__((always_inline)) int NAMED(compare_block)(
    const NUMBER *first, const NUMBER *second, uint64_t start, double absolute, double relative,
    struct ckpt_difference *found) {
  BITS high_a = {0}, high_b = {0}, unequal = {0};
  UNSIGNEDS ulp = {0};
  for (size_t i = 0; i < BLOCK; i += LANES) {
    BITS x, y;
    memcpy(&x, first + i, sizeof x);
    memcpy(&y, second + i, sizeof y);
    const BITS p = x & MAGNITUDE, q = y & MAGNITUDE;
    high_a = __builtin_elementwise_max(high_a, p);
    high_b = __builtin_elementwise_max(high_b, q);
    // Magnitudes count from zero on either side, which both zeros are.
    const BITS s = (x < 0), t = (y < 0);
    const BITS from = (p ^ s) - s, to = (q ^ t) - t;
    // A comparison gives −1 where it holds.
    unequal -= from != to;
    const BITS turn = from < to;
    ulp = __builtin_elementwise_max(
        ulp, ((UNSIGNEDS)(from - to) ^ (UNSIGNEDS)turn) - (UNSIGNEDS)turn);
  }
  const BITS most_a = high_a, most_b = high_b;
  if (__builtin_reduce_max(most_a) >= INFINITE || __builtin_reduce_max(most_b) >= INFINITE)
    return 0;
  doubles differences = {0}, squares_a = {0}, squares_b = {0}, products = {0}, largest = {0};
  longs beyond = {0};
  const int exact = absolute == 0 && relative == 0;
  for (size_t i = 0; i < BLOCK; i += LANES) {
    NUMBERS x, y;
    memcpy(&x, first + i, sizeof x);
    memcpy(&y, second + i, sizeof y);
    const doubles a = __builtin_convertvector(x, doubles), b = __builtin_convertvector(y, doubles);
    const doubles d = a - b;
    differences += d * d;
    squares_a += a * a;
    squares_b += b * b;
    products += a * b;
    const doubles size = (doubles)((longs)d & 0x7fffffffffffffff);
    largest = CHOOSE(size > largest, size, largest);
    if (!exact) {
      const doubles width = (doubles)((longs)b & 0x7fffffffffffffff);
      beyond -= size > absolute + relative * width;
    }
  }
  uint64_t number = 0, number_beyond = 0;
  double most = 0;
  for (int lane = 0; lane < LANES; lane++) {
    number += (uint64_t)unequal[lane];
    number_beyond += (uint64_t)beyond[lane];
    if (ulp[lane] > found->ulp) found->ulp = ulp[lane];
    if (largest[lane] > most) most = largest[lane];
    found->squared_difference += differences[lane];
    found->squared_first += squares_a[lane];
    found->squared_second += squares_b[lane];
    found->product += products[lane];
  }
  found->differing += number;
  found->beyond += exact ? number : number_beyond;
  if (most > found->largest) {
    found->largest = most;
    for (size_t i = 0; i < BLOCK; i++) {
      if (fabs((double)first[i] - (double)second[i]) == most) {
        found->place = start + i;
        break;
      }
    }
  }
  NUMBER peak;
  const UNSIGNED a = (UNSIGNED)__builtin_reduce_max(most_a);
  memcpy(&peak, &a, sizeof peak);
  if (peak > found->peak_first) found->peak_first = peak;
  const UNSIGNED b = (UNSIGNED)__builtin_reduce_max(most_b);
  memcpy(&peak, &b, sizeof peak);
  if (peak > found->peak_second) found->peak_second = peak;
  return 1;
}

MANY_TARGETS static void NAMED(compare)(const NUMBER *first, const NUMBER *second, size_t count,
                                        uint64_t start, double absolute, double relative,
                                        struct ckpt_difference *found) {
  size_t i = 0;
  for (; i + BLOCK <= count; i += BLOCK) {
    if (!NAMED(compare_block)(first + i, second + i, start + i, absolute, relative, found))
      NAMED(compare_slowly)(first + i, second + i, BLOCK, start + i, absolute, relative, found);
  }
  NAMED(compare_slowly)(first + i, second + i, count - i, start + i, absolute, relative, found);
}

#undef CHOOSE
#undef NAMED
#undef NUMBER
#undef NUMBERS
#undef BITS
#undef UNSIGNED
#undef UNSIGNEDS
#undef MAGNITUDE
#undef INFINITE
