// What the loops of this module have in common.
#ifndef CKPT_NUMBERS_H
#define CKPT_NUMBERS_H

#include <math.h>
#include <stdint.h>
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

#endif
