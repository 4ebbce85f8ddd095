// The kernels for processors with AVX-512.
#if defined(__x86_64__)
#include "variant.h"

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,bmi,bmi2"))), \
    apply_to = function)
#define LANES 16
#define VARIANT(name) name##_avx512
#include "vector.h"
#define TALL 12  // with two more registers for the panel, one for `a`
#include "elementwise.h"
#include "product.h"
#include "windows.h"
#include "recurrent.h"
#pragma clang attribute pop

const struct ckpt_kernels ckpt_avx512 = KERNELS("avx512");
#endif
