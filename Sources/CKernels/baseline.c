// The kernels for any processor of the architecture: SSE2 on x86-64, NEON on arm64.
#include "variant.h"

#define LANES 4
#define VARIANT(name) name##_baseline
#include "vector.h"
#if defined(__aarch64__)
#define TALL 8  // of 32 registers, 16 hold sums
#else
#define TALL 6
#endif
#include "elementwise.h"
#include "product.h"
#include "windows.h"
#include "recurrent.h"

const struct ckpt_kernels ckpt_baseline = KERNELS("baseline");
