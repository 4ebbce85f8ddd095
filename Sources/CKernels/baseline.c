// The kernels for any processor of the architecture: SSE2 on x86-64, NEON on arm64.
#include "variant.h"

#define LANES 4
#define VARIANT(name) name##_baseline
#include "vector.h"
#include "elementwise.h"

const struct ckpt_kernels ckpt_baseline = KERNELS("baseline");
