// Vectors of LANES floats for the instruction set that the including file has chosen, and the
// elementary functions on them. Included once per instruction set; everything is static.
//
// Polynomials are near-minimax fits made for this file (iteratively reweighted least squares in
// double precision, rounded to float). Products and sums contract to FMA where the processor has it.

#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

typedef float vf __attribute__((vector_size(4 * LANES)));
typedef int32_t vi __attribute__((vector_size(4 * LANES)));
typedef float vf_unaligned __attribute__((vector_size(4 * LANES), aligned(4)));

INLINE vf load(const float *p) { return *(const vf_unaligned *)p; }
INLINE void store(float *p, vf x) { *(vf_unaligned *)p = x; }
// Taking 0 away changes no number, so this is a broadcast; adding 0 would change -0, and is an
// addition.
INLINE vf all(float x) { return x - (vf){}; }

/// `count` < LANES elements; the others are `rest`.
INLINE vf load_part(const float *p, size_t count, float rest) {
  float buffer[LANES];
  for (size_t i = 0; i < LANES; i++) buffer[i] = rest;
  memcpy(buffer, p, count * sizeof(float));
  return load(buffer);
}

INLINE void store_part(float *p, size_t count, vf x) {
  float buffer[LANES];
  store(buffer, x);
  memcpy(p, buffer, count * sizeof(float));
}

INLINE vf choose(vi condition, vf yes, vf no) {
  return (vf)((condition & (vi)yes) | (~condition & (vi)no));
}

// The larger of two; NaN when either is.
INLINE vf larger(vf a, vf b) { return choose((a > b) | (a != a), a, b); }
INLINE vf smaller(vf a, vf b) { return choose((a < b) | (a != a), a, b); }
INLINE vf magnitude(vf x) { return (vf)((vi)x & 0x7fffffff); }
INLINE vf with_sign(vf x, vf sign) {
  return (vf)((vi)x | ((vi)sign & (int32_t)0x80000000));
}

INLINE float sum_of(vf x) {
  float sum = 0;
  for (int i = 0; i < LANES; i++) sum += x[i];
  return sum;
}

/// eˣ: x = n ln 2 + r, |r| ≤ ln 2 / 2, eʳ ≈ 1 + r + r² p(r), relative error 4e-9 before rounding.
INLINE vf vexp(vf x) {
  const float magic = 12582912.0f;  // 1.5 · 2²³: adding it rounds to a whole number
  x = choose(x > 89.0f, all(89.0f), x);      // 2¹²⁸ < e⁸⁹: infinity
  x = choose(x < -104.0f, all(-104.0f), x);  // e⁻¹⁰⁴ < 2⁻¹⁵⁰: zero
  vf shifted = x * 1.44269504088896341f + magic;
  vi n = (vi)shifted - (vi)all(magic);
  vf whole = shifted - magic;
  vf r = x - whole * 0.693145751953125f;  // the upper 15 bits of ln 2: an exact product
  r = r - whole * 1.42860682030941723e-6f;
  vf p = r * 0.0013951717410236597f + 0.008369598537683487f;
  p = p * r + 0.0416661873459816f;
  p = p * r + 0.16666512191295624f;
  p = p * r + 0.5f;
  p = p * (r * r) + r + 1.0f;
  // 2ⁿ in two factors, so that n from -150 to 128 passes through neither zero nor infinity.
  vi half = n >> 1;
  vf first = (vf)((half + 127) << 23);
  vf second = (vf)((n - half + 127) << 23);
  return p * first * second;
}

/// tanh: an odd polynomial up to 0.65, else 1 − 2 / (e²ˣ + 1).
INLINE vf vtanh(vf x) {
  vf t = magnitude(x);
  vf s = x * x;
  vf p = s * -0.005528623703867197f + 0.02048330567777157f;
  p = p * s - 0.05369296297430992f;
  p = p * s + 0.1333089917898178f;
  p = p * s - 0.3333326280117035f;
  vf near = p * s * x + x;
  vf far = with_sign(1.0f - 2.0f / (vexp(t + t) + 1.0f), x);
  return choose(t < 0.65f, near, far);
}

/// erf: an odd polynomial up to 0.95, else 1 − e to the power of a polynomial; exactly ±1 from 4 on.
INLINE vf verf(vf x) {
  vf t = magnitude(x);
  vf s = x * x;
  vf p = s * 7.889119297033176e-05f - 0.0008020841050893068f;
  p = p * s + 0.005189535208046436f;
  p = p * s - 0.026854444295167923f;
  p = p * s + 0.11283600330352783f;
  p = p * s - 0.3761262595653534f;
  p = p * s + 0.12837916612625122f;
  vf near = p * x + x;
  t = choose(t > 4.0f, all(4.0f), t);
  vf q = t * -0.00019718271505553275f + 0.0030556165147572756f;
  q = q * t - 0.022277120500802994f;
  q = q * t + 0.10403741896152496f;
  q = q * t + 0.6370596885681152f;
  q = q * t + 1.1277495622634888f;
  q = q * t + 0.00017748652317095548f;
  vf far = with_sign(1.0f - vexp(-q), x);
  return choose(t < 0.95f, near, far);
}

/// log(1 + u) for u in [0, 1]: 2 atanh(u / (2 + u)).
INLINE vf vlog1p_unit(vf u) {
  vf s = u / (u + 2.0f);
  vf z = s * s;
  vf p = z * (2.0f / 15) + 2.0f / 13;
  p = p * z + 2.0f / 11;
  p = p * z + 2.0f / 9;
  p = p * z + 2.0f / 7;
  p = p * z + 2.0f / 5;
  p = p * z + 2.0f / 3;
  return p * z * s + 2.0f * s;
}

INLINE vf vlogistic(vf x) { return 1.0f / (1.0f + vexp(-x)); }
