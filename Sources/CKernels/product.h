// Matrix products for one instruction set; see vector.h and, for the layout of panels, CKernels.h.
//
// The innermost loop keeps up to TALL × 2·LANES sums in registers and takes one row of a panel and
// one column of `a` per step. Rows of `a` are first copied to a buffer with a fixed stride, so that
// all their addresses are one register plus constants, and so that no two rows compete for the same
// set of the first-level cache, as rows of 3072 floats would.

#define PANEL (2 * LANES)
#define STRIDE (CKPT_INNER_BLOCK + 16)

/// Adds `a [m, k] · panel [k, PANEL]` to `c [m, PANEL]`, which starts as `bias`, or 0 when null,
/// if `first`. `a` has rows of STRIDE floats. `m` is a constant where this is expanded.
INLINE void tile(const size_t m, int first, size_t k, const float *a, const float *panel,
                 const float *bias, float *c, size_t c_stride) {
  vf sums[TALL][2];
#pragma clang loop unroll(full)
  for (size_t r = 0; r < m; r++) {
    if (first) {
      sums[r][0] = bias ? load(bias) : (vf){};
      sums[r][1] = bias ? load(bias + LANES) : (vf){};
    } else {
      sums[r][0] = load(c + r * c_stride);
      sums[r][1] = load(c + r * c_stride + LANES);
    }
  }
  for (size_t p = 0; p < k; p++) {
    const vf b0 = load(panel + p * PANEL), b1 = load(panel + p * PANEL + LANES);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < m; r++) {
      const vf x = all(a[r * STRIDE + p]);
      sums[r][0] += x * b0;
      sums[r][1] += x * b1;
    }
  }
#pragma clang loop unroll(full)
  for (size_t r = 0; r < m; r++) {
    store(c + r * c_stride, sums[r][0]);
    store(c + r * c_stride + LANES, sums[r][1]);
  }
}

static void tiles(size_t m, int first, size_t k, const float *a, const float *panel,
                  const float *bias, float *c, size_t c_stride) {
  switch (m) {
#define TILE(rows)                                            \
  case rows:                                                  \
    tile(rows, first, k, a, panel, bias, c, c_stride); \
    break;
    TILE(1) TILE(2) TILE(3) TILE(4)
#if TALL >= 6
    TILE(5) TILE(6)
#endif
#if TALL >= 8
    TILE(7) TILE(8)
#endif
#if TALL >= 12
    TILE(9) TILE(10) TILE(11) TILE(12)
#endif
#if TALL >= 14
    TILE(13) TILE(14)
#endif
#undef TILE
    default: break;
  }
}

static void VARIANT(pack)(const float *b, size_t stride, int transposed, size_t k, size_t n,
                          float *panels) {
  for (size_t j = 0; j < n; j += PANEL, panels += k * PANEL) {
    const size_t here = n - j < PANEL ? n - j : PANEL;
    if (!transposed) {
      for (size_t p = 0; p < k; p++) {
        memcpy(panels + p * PANEL, b + p * stride + j, here * sizeof(float));
        for (size_t i = here; i < PANEL; i++) panels[p * PANEL + i] = 0;
      }
    } else {
      for (size_t i = 0; i < here; i++) {
        for (size_t p = 0; p < k; p++) panels[p * PANEL + i] = b[(j + i) * stride + p];
      }
      for (size_t i = here; i < PANEL; i++) {
        for (size_t p = 0; p < k; p++) panels[p * PANEL + i] = 0;
      }
    }
  }
}

static void VARIANT(multiply_row)(size_t n, size_t k, const float *a, float scale, const float *b,
                                  size_t stride, int transposed, float *y) {
  if (transposed) {
    const size_t whole = k - k % LANES;
    for (size_t j = 0; j < n; j++, b += stride) {
      vf sums[2] = {};
      float rest = 0;
      for (size_t p = 0; p < whole; p += LANES) {
        sums[(p / LANES) & 1] += load(a + p) * load(b + p);
      }
      for (size_t p = whole; p < k; p++) rest += a[p] * b[p];
      y[j] = scale * (sum_of(sums[0] + sums[1]) + rest);
    }
    return;
  }
  size_t j = 0;
  for (; j + 4 * LANES <= n; j += 4 * LANES) {
    vf sums[4] = {};
    for (size_t p = 0; p < k; p++) {
      const float *row = b + p * stride + j;
      const vf x = all(a[p]);
      for (size_t i = 0; i < 4; i++) sums[i] += x * load(row + i * LANES);
    }
    for (size_t i = 0; i < 4; i++) store(y + j + i * LANES, scale * sums[i]);
  }
  for (; j < n; j += LANES) {
    const size_t here = n - j < LANES ? n - j : LANES;
    vf sum = {};
    for (size_t p = 0; p < k; p++) {
      const float *row = b + p * stride + j;
      sum += all(a[p]) * (here == LANES ? load(row) : load_part(row, here, 0));
    }
    if (here == LANES) {
      store(y + j, scale * sum);
    } else {
      store_part(y + j, here, scale * sum);
    }
  }
}

/// `wide · PANEL` columns of one row: `c = bias + scale · a [k] · panels`. A single panel would wait
/// for each sum before it can add the next product. `wide` is a constant where this is expanded.
INLINE void row_tile(const size_t wide, size_t k, const float *a, float scale, const float *panels,
                     const float *bias, float *c) {
  vf sums[4][2];
#pragma clang loop unroll(full)
  for (size_t w = 0; w < wide; w++) {
    sums[w][0] = bias ? load(bias + w * PANEL) : (vf){};
    sums[w][1] = bias ? load(bias + w * PANEL + LANES) : (vf){};
  }
  for (size_t p = 0; p < k; p++) {
    const vf x = all(scale * a[p]);
#pragma clang loop unroll(full)
    for (size_t w = 0; w < wide; w++) {
      sums[w][0] += x * load(panels + (w * k + p) * PANEL);
      sums[w][1] += x * load(panels + (w * k + p) * PANEL + LANES);
    }
  }
#pragma clang loop unroll(full)
  for (size_t w = 0; w < wide; w++) {
    store(c + w * PANEL, sums[w][0]);
    store(c + w * PANEL + LANES, sums[w][1]);
  }
}

/// One row times packed panels: the same sums in the same order as with more rows.
static void multiply_one(size_t n, size_t k, const float *a, float scale, const float *panels,
                         const float *bias, float *c) {
  size_t j = 0;
  for (; j + 4 * PANEL <= n; j += 4 * PANEL) {
    row_tile(4, k, a, scale, panels + j * k, bias ? bias + j : NULL, c + j);
  }
  for (; j + PANEL <= n; j += PANEL) {
    row_tile(1, k, a, scale, panels + j * k, bias ? bias + j : NULL, c + j);
  }
  if (j < n) {
    float edge[PANEL], edge_bias[PANEL] = {};
    if (bias) memcpy(edge_bias, bias + j, (n - j) * sizeof(float));
    row_tile(1, k, a, scale, panels + j * k, edge_bias, edge);
    memcpy(c + j, edge, (n - j) * sizeof(float));
  }
}

static void copy_rows(size_t m, size_t k, const float *a, size_t a_stride, float scale,
                      float *buffer) {
  for (size_t r = 0; r < m; r++, a += a_stride, buffer += STRIDE) {
    if (scale == 1) {
      memcpy(buffer, a, k * sizeof(float));
    } else {
      for (size_t p = 0; p < k; p++) buffer[p] = scale * a[p];
    }
  }
}

static void VARIANT(multiply)(size_t m, size_t n, size_t k, const float *a, size_t a_stride,
                              float scale, const float *panels, const float *bias,
                              enum ckpt_activation activation, float *c, size_t c_stride,
                              float *buffer) {
  if (m == 1) {
    multiply_one(n, k, a, scale, panels, bias, c);
    if (activation != CKPT_LINEAR) VARIANT(activate)(activation, c, c, n);
    return;
  }
  const size_t blocks = (m + CKPT_ROW_BLOCK - 1) / CKPT_ROW_BLOCK;
  for (size_t block = 0, top = 0, rows; block < blocks; block++, top += rows) {
    rows = (m - top + blocks - block - 1) / (blocks - block);
    const size_t groups = (rows + TALL - 1) / TALL;
    for (size_t start = 0; start == 0 || start < k; start += CKPT_INNER_BLOCK) {
      const size_t inner = k - start < CKPT_INNER_BLOCK ? k - start : CKPT_INNER_BLOCK;
      const int first = start == 0, last = start + inner >= k;
      copy_rows(rows, inner, a + top * a_stride + start, a_stride, scale, buffer);
      for (size_t j = 0; j < n; j += PANEL) {
        const size_t here = n - j < PANEL ? n - j : PANEL;
        const float *panel = panels + j * k + start * PANEL;
        float edge[TALL * PANEL], edge_bias[PANEL];
        const float *from = bias ? bias + j : NULL;
        if (from && here < PANEL) {
          memset(edge_bias, 0, sizeof edge_bias);
          memcpy(edge_bias, from, here * sizeof(float));
          from = edge_bias;
        }
        // Groups of nearly the same height: 16 rows are 8 and 8 rather than 12 and 4.
        size_t row = 0;
        for (size_t g = 0; g < groups; g++) {
          const size_t tall = (rows - row + groups - g - 1) / (groups - g);
          float *target = c + (top + row) * c_stride + j;
          if (here == PANEL) {
            tiles(tall, first, inner, buffer + row * STRIDE, panel, from, target, c_stride);
          } else {
            for (size_t r = 0; r < tall && !first; r++) {
              memcpy(edge + r * PANEL, target + r * c_stride, here * sizeof(float));
            }
            tiles(tall, first, inner, buffer + row * STRIDE, panel, from, edge, PANEL);
            for (size_t r = 0; r < tall; r++) {
              memcpy(target + r * c_stride, edge + r * PANEL, here * sizeof(float));
            }
          }
          if (last && activation != CKPT_LINEAR) {
            for (size_t r = 0; r < tall; r++) {
              VARIANT(activate)(activation, target + r * c_stride, target + r * c_stride, here);
            }
          }
          row += tall;
        }
      }
    }
  }
}
