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

INLINE void copy(float *to, const float *from, ptrdiff_t count) {
  if (count < 8) {
    for (ptrdiff_t i = 0; i < count; i++) to[i] = from[i];
  } else {
    memcpy(to, from, (size_t)count * sizeof(float));
  }
}

INLINE void clear(float *to, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) to[i] = 0;
}

/// Steps `start` to `start` + `k` of what the window sees at `m` places from `first` on, as rows of
/// STRIDE floats.
///
/// Pixels that stand together in the window and in the image are copied together.
static void copy_windows(const struct ckpt_windows *w, size_t first, size_t m, size_t start,
                         size_t k, float *buffer) {
  const int together = w->dilation[2] == 1 && w->pixel == w->channels;
  const ptrdiff_t run = together ? w->window[2] * w->channels : w->channels;
  const ptrdiff_t runs = together ? 1 : w->window[2];
  const ptrdiff_t length = w->extent[2] * w->pixel;
  // The run in which the rows start, and the place at which the first row stands.
  const ptrdiff_t tap = (ptrdiff_t)start / run, skip = (ptrdiff_t)start % run;
  ptrdiff_t place = (ptrdiff_t)first;
  ptrdiff_t p2 = place % w->places[2];
  place /= w->places[2];
  ptrdiff_t p1 = place % w->places[1];
  place /= w->places[1];
  ptrdiff_t p0 = place % w->places[0], image = place / w->places[0];
  for (size_t r = 0; r < m; r++, buffer += STRIDE) {
    ptrdiff_t t2 = tap % runs, t1 = tap / runs % w->window[1], t0 = tap / runs / w->window[1];
    ptrdiff_t offset = skip;
    for (ptrdiff_t at = 0; at < (ptrdiff_t)k;) {
      const ptrdiff_t rest = (ptrdiff_t)k - at;
      const ptrdiff_t here = run - offset < rest ? run - offset : rest;
      const ptrdiff_t i0 = p0 * w->stride[0] + t0 * w->dilation[0] - w->before[0];
      const ptrdiff_t i1 = p1 * w->stride[1] + t1 * w->dilation[1] - w->before[1];
      const ptrdiff_t i2 = p2 * w->stride[2] + t2 * w->dilation[2] - w->before[2];
      float *to = buffer + at;
      if (i0 < 0 || i0 >= w->extent[0] || i1 < 0 || i1 >= w->extent[1]) {
        clear(to, here);
      } else {
        const float *row = w->x + ((image * w->extent[0] + i0) * w->extent[1] + i1) * length;
        // Floats of the row; those outside of it are padding.
        const ptrdiff_t from = i2 * w->pixel + offset, end = from + here;
        const ptrdiff_t limit = together ? length : (i2 < w->extent[2] ? end : 0);
        ptrdiff_t low = from < 0 ? -from : 0, high = end > limit ? limit - from : here;
        if (!together && i2 < 0) high = 0;
        if (high < 0) high = 0;
        if (low > high) low = high;
        clear(to, low);
        copy(to + low, row + from + low, high - low);
        clear(to + high, here - high);
      }
      at += here;
      offset = 0;
      if (++t2 == runs) {
        t2 = 0;
        if (++t1 == w->window[1]) {
          t1 = 0;
          t0++;
        }
      }
    }
    if (++p2 == w->places[2]) {
      p2 = 0;
      if (++p1 == w->places[1]) {
        p1 = 0;
        if (++p0 == w->places[0]) {
          p0 = 0;
          image++;
        }
      }
    }
  }
}

/// The left operand of a product: rows of floats, or what a window sees.
struct left {
  const float *a;
  size_t stride;
  float scale;
  const struct ckpt_windows *windows;
  size_t first;
};

static void product(size_t m, size_t n, size_t k, const struct left *left, const float *panels,
                    const float *bias, enum ckpt_activation activation, float *c, size_t c_stride,
                    float *buffer) {
  const size_t blocks = (m + CKPT_ROW_BLOCK - 1) / CKPT_ROW_BLOCK;
  for (size_t block = 0, top = 0, rows; block < blocks; block++, top += rows) {
    rows = (m - top + blocks - block - 1) / (blocks - block);
    const size_t groups = (rows + TALL - 1) / TALL;
    for (size_t start = 0; start == 0 || start < k; start += CKPT_INNER_BLOCK) {
      const size_t inner = k - start < CKPT_INNER_BLOCK ? k - start : CKPT_INNER_BLOCK;
      const int first = start == 0, last = start + inner >= k;
      if (left->windows) {
        copy_windows(left->windows, left->first + top, rows, start, inner, buffer);
      } else {
        copy_rows(rows, inner, left->a + top * left->stride + start, left->stride, left->scale,
                  buffer);
      }
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

static void VARIANT(multiply)(size_t m, size_t n, size_t k, const float *a, size_t a_stride,
                              float scale, const float *panels, const float *bias,
                              enum ckpt_activation activation, float *c, size_t c_stride,
                              float *buffer) {
  if (m == 1) {
    multiply_one(n, k, a, scale, panels, bias, c);
    if (activation != CKPT_LINEAR) VARIANT(activate)(activation, c, c, n);
    return;
  }
  const struct left left = {.a = a, .stride = a_stride, .scale = scale};
  product(m, n, k, &left, panels, bias, activation, c, c_stride, buffer);
}

static void VARIANT(convolve)(const struct ckpt_windows *w, size_t first, size_t m, size_t n,
                              const float *panels, const float *bias,
                              enum ckpt_activation activation, float *c, size_t c_stride,
                              float *buffer) {
  const struct left left = {.windows = w, .first = first};
  const size_t k = (size_t)(w->window[0] * w->window[1] * w->window[2] * w->channels);
  product(m, n, k, &left, panels, bias, activation, c, c_stride, buffer);
}
