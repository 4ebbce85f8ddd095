#include "CChecksum.h"

#include <stdatomic.h>
#include <string.h>

// Castagnoli's polynomial, bit-reflected.
static const uint32_t polynomial = 0x82f63b78u;

// Entry [k][b] is the CRC of byte b followed by k zeros ("slicing by eight").
static uint32_t table[8][256];

static void prepare(void) {
  // 0: not yet, 1: being filled, 2: ready.
  static atomic_int state;
  int expected = 0;
  if (atomic_load_explicit(&state, memory_order_acquire) == 2) return;
  if (atomic_compare_exchange_strong(&state, &expected, 1)) {
    for (uint32_t byte = 0; byte < 256; byte++) {
      uint32_t crc = byte;
      for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
      table[0][byte] = crc;
    }
    for (int k = 1; k < 8; k++)
      for (int byte = 0; byte < 256; byte++) {
        uint32_t crc = table[k - 1][byte];
        table[k][byte] = crc >> 8 ^ table[0][crc & 0xff];
      }
    atomic_store_explicit(&state, 2, memory_order_release);
  }
  while (atomic_load_explicit(&state, memory_order_acquire) != 2) {
  }
}

static uint32_t plain(uint32_t crc, const uint8_t *p, size_t count) {
  prepare();
  for (; count >= 8; count -= 8, p += 8) {
    uint32_t low, high;
    memcpy(&low, p, 4);
    memcpy(&high, p + 4, 4);
    low ^= crc;
    crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^
          table[4][low >> 24] ^ table[3][high & 0xff] ^ table[2][high >> 8 & 0xff] ^
          table[1][high >> 16 & 0xff] ^ table[0][high >> 24];
  }
  while (count--) crc = crc >> 8 ^ table[0][(crc ^ *p++) & 0xff];
  return crc;
}

#if defined(__x86_64__)
#include <immintrin.h>

// x^n mod P, bit-reflected, for one lane's shift over `bytes` zero bytes; found by squaring.
static uint32_t power(size_t bytes) {
  // Multiplies two reflected polynomials modulo P.
  uint32_t result = 0x80000000u;  // 1
  uint32_t base = 0x00800000u;    // x^8
  for (size_t n = bytes; n; n >>= 1) {
    for (int which = 0; which < 2; which++) {
      if (which == 0 && !(n & 1)) continue;
      uint32_t a = which == 0 ? result : base, b = base, product = 0;
      for (int bit = 31; bit >= 0; bit--) {
        if (a >> bit & 1) product ^= b;
        b = b >> 1 ^ (b & 1 ? polynomial : 0);
      }
      if (which == 0)
        result = product;
      else
        base = product;
    }
  }
  return result;
}

// The CRC-32C instruction in three lanes, because each takes three cycles; lanes are joined by a
// carry-less product (Gopal and others, "Fast CRC computation for iSCSI polynomial", 2011).
__attribute__((target("sse4.2,pclmul"))) static uint32_t lanes(uint32_t crc, const uint8_t *p,
                                                                size_t count) {
  enum { LANE = 2048 };
  static _Atomic uint64_t factors;
  uint64_t both = atomic_load_explicit(&factors, memory_order_relaxed);
  if (count >= 3 * LANE && !both) {
    // A product is shifted by 33 bits more than the lane: 32 by the reduction, 1 by reflection.
    both = (uint64_t)power(2 * LANE - 4) << 32 | power(LANE - 4);
    atomic_store_explicit(&factors, both, memory_order_relaxed);
  }
  for (; count >= 3 * LANE; count -= 3 * LANE, p += 3 * LANE) {
    uint64_t a = crc, b = 0, c = 0;
    for (size_t i = 0; i < LANE; i += 8) {
      uint64_t x, y, z;
      memcpy(&x, p + i, 8);
      memcpy(&y, p + LANE + i, 8);
      memcpy(&z, p + 2 * LANE + i, 8);
      a = _mm_crc32_u64(a, x);
      b = _mm_crc32_u64(b, y);
      c = _mm_crc32_u64(c, z);
    }
    __m128i f = _mm_cvtsi64_si128((long long)both);
    __m128i first = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)(uint32_t)a),
                                         _mm_cvtsi64_si128((long long)(both >> 32)), 0);
    __m128i second = _mm_clmulepi64_si128(
        _mm_cvtsi64_si128((long long)(uint32_t)b),
        _mm_and_si128(f, _mm_cvtsi64_si128(0xffffffffll)), 0);
    uint64_t joined = (uint64_t)_mm_cvtsi128_si64(_mm_xor_si128(first, second)) << 1;
    crc = (uint32_t)_mm_crc32_u64(0, joined) ^ (uint32_t)c;
  }
  uint64_t rest = crc;
  for (; count >= 8; count -= 8, p += 8) {
    uint64_t x;
    memcpy(&x, p, 8);
    rest = _mm_crc32_u64(rest, x);
  }
  crc = (uint32_t)rest;
  while (count--) crc = _mm_crc32_u8(crc, *p++);
  return crc;
}
#endif

uint32_t ckpt_crc32c(uint32_t crc, const void *bytes, size_t count) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul")) return ~lanes(~crc, bytes, count);
#endif
  return ~plain(~crc, bytes, count);
}
