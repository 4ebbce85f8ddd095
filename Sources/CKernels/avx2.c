// The kernels for processors with AVX2 and FMA.
#if defined(__x86_64__)
#include "variant.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2"))), apply_to = function)
#define LANES 8
#define VARIANT(name) name##_avx2
#include "vector.h"
#define TALL 6  // with two more registers for the panel, one for `a`
#include "elementwise.h"
#include "product.h"
#include "windows.h"
#include "recurrent.h"
#pragma clang attribute pop

const struct ckpt_kernels ckpt_avx2 = KERNELS("avx2");
#endif
