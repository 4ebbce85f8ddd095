// Windows that see each channel by itself, and normalization of channels, for one instruction set; see
// vector.h. What a convolution of all channels copies stands with the product.

/// The elements of a window that lie inside of an axis at a place: `from` up to `to`.
struct inside {
  ptrdiff_t from, to;
};

static struct inside inside(const struct ckpt_windows *w, int axis, ptrdiff_t place) {
  const ptrdiff_t start = place * w->stride[axis] - w->before[axis], step = w->dilation[axis];
  const ptrdiff_t left = w->extent[axis] - start;
  struct inside taps = {start < 0 ? (step - 1 - start) / step : 0,
                        left > 0 ? (left - 1) / step + 1 : 0};
  if (taps.to > w->window[axis]) taps.to = w->window[axis];
  if (taps.from > taps.to) taps.from = taps.to;
  return taps;
}

/// A row of places: what the window sees along the first two axes, and where the image starts.
struct row {
  const float *image;
  struct inside taps[2];
  ptrdiff_t start[2];
};

static struct row row_of(const struct ckpt_windows *w, size_t index) {
  ptrdiff_t place = (ptrdiff_t)index;
  const ptrdiff_t p1 = place % w->places[1];
  place /= w->places[1];
  const ptrdiff_t p0 = place % w->places[0], image = place / w->places[0];
  return (struct row){
      w->x + image * w->extent[0] * w->extent[1] * w->extent[2] * w->pixel,
      {inside(w, 0, p0), inside(w, 1, p1)},
      {p0 * w->stride[0] - w->before[0], p1 * w->stride[1] - w->before[1]},
  };
}

// For each row of the window that lies inside: `x`, the image's row, and `tap`, the window's first
// tap in it.
#define EACH_ROW(w, r)                                                                         \
  for (ptrdiff_t t0 = r.taps[0].from; t0 < r.taps[0].to; t0++)                                 \
    for (ptrdiff_t t1 = r.taps[1].from; t1 < r.taps[1].to; t1++)                               \
      for (const float *x = r.image + ((r.start[0] + t0 * w->dilation[0]) * w->extent[1] +     \
                                       r.start[1] + t1 * w->dilation[1]) *                     \
                                          w->extent[2] * w->pixel,                             \
                       *end = x + 1;                                                           \
           x < end; x = end)

/// `pixels` places from `place` on and `vectors` vectors of channels from `c` on; both are constants
/// where this is expanded. The taps along the last axis lie inside for all of the places.
INLINE void depthwise_tile(const ptrdiff_t pixels, const ptrdiff_t vectors,
                           const struct ckpt_windows *w, struct row r, struct inside taps,
                           ptrdiff_t place, ptrdiff_t c, const float *kernel, const float *bias,
                           float *y) {
  vf sums[4][2];
  const ptrdiff_t width = w->channels, next = w->stride[2] * width, step = w->dilation[2] * width;
#pragma clang loop unroll(full)
  for (ptrdiff_t p = 0; p < pixels; p++) {
#pragma clang loop unroll(full)
    for (ptrdiff_t v = 0; v < vectors; v++) {
      sums[p][v] = bias ? load(bias + c + v * LANES) : (vf){};
    }
  }
  EACH_ROW(w, r) {
    const float *from = x + (place * w->stride[2] - w->before[2]) * width + c + taps.from * step;
    const float *k = kernel + ((t0 * w->window[1] + t1) * w->window[2] + taps.from) * width + c;
    for (ptrdiff_t t = taps.from; t < taps.to; t++, from += step, k += width) {
#pragma clang loop unroll(full)
      for (ptrdiff_t v = 0; v < vectors; v++) {
        const vf factor = load(k + v * LANES);
#pragma clang loop unroll(full)
        for (ptrdiff_t p = 0; p < pixels; p++) {
          sums[p][v] += load(from + p * next + v * LANES) * factor;
        }
      }
    }
  }
#pragma clang loop unroll(full)
  for (ptrdiff_t p = 0; p < pixels; p++) {
#pragma clang loop unroll(full)
    for (ptrdiff_t v = 0; v < vectors; v++) {
      store(y + (place + p) * width + c + v * LANES, sums[p][v]);
    }
  }
}

INLINE void depthwise_pixels(const ptrdiff_t pixels, const struct ckpt_windows *w, struct row r,
                             struct inside taps, ptrdiff_t place, const float *kernel,
                             const float *bias, float *y) {
  ptrdiff_t c = 0;
  for (; c + 2 * LANES <= w->channels; c += 2 * LANES) {
    depthwise_tile(pixels, 2, w, r, taps, place, c, kernel, bias, y);
  }
  for (; c + LANES <= w->channels; c += LANES) {
    depthwise_tile(pixels, 1, w, r, taps, place, c, kernel, bias, y);
  }
  // The last channels are computed together with some that are done.
  if (c < w->channels) {
    depthwise_tile(pixels, 1, w, r, taps, place, w->channels - LANES, kernel, bias, y);
  }
}

/// A place whose channels do not fill a vector, or that has several filters for a channel.
static void depthwise_place(const struct ckpt_windows *w, struct row r, struct inside taps,
                            ptrdiff_t place, ptrdiff_t multiplier, const float *kernel,
                            const float *bias, float *y) {
  const ptrdiff_t filters = w->channels * multiplier;
  y += place * filters;
  for (ptrdiff_t f = 0; f < filters; f++) y[f] = bias ? bias[f] : 0;
  EACH_ROW(w, r) {
    for (ptrdiff_t t = taps.from; t < taps.to; t++) {
      const float *from =
          x + (place * w->stride[2] - w->before[2] + t * w->dilation[2]) * w->channels;
      const float *k = kernel + ((t0 * w->window[1] + t1) * w->window[2] + t) * filters;
      for (ptrdiff_t c = 0, f = 0; c < w->channels; c++) {
        for (ptrdiff_t i = 0; i < multiplier; i++, f++) y[f] += from[c] * k[f];
      }
    }
  }
}

static void VARIANT(depthwise)(const struct ckpt_windows *w, size_t index, size_t multiplier,
                               const float *kernel, const float *bias, float *y) {
  const struct row r = row_of(w, index);
  for (ptrdiff_t place = 0; place < w->places[2];) {
    const struct inside taps = inside(w, 2, place);
    if (multiplier > 1 || w->channels < LANES) {
      depthwise_place(w, r, taps, place++, (ptrdiff_t)multiplier, kernel, bias, y);
      continue;
    }
    // Four places share the loads of the kernel where the same taps lie inside for all of them.
    const struct inside last = inside(w, 2, place + 3);
    if (place + 4 <= w->places[2] && last.from == taps.from && last.to == taps.to) {
      depthwise_pixels(4, w, r, taps, place, kernel, bias, y);
      place += 4;
    } else {
      depthwise_pixels(1, w, r, taps, place++, kernel, bias, y);
    }
  }
}

/// `vectors` vectors of channels from `c` on at one place.
INLINE void pool_tile(const ptrdiff_t vectors, const struct ckpt_windows *w, struct row r,
                      struct inside taps, ptrdiff_t place, ptrdiff_t c, int average, float count,
                      float *y) {
  vf found[4];
#pragma clang loop unroll(full)
  for (ptrdiff_t v = 0; v < vectors; v++) found[v] = average ? (vf){} : all(-INFINITY);
  EACH_ROW(w, r) {
    const float *from =
        x + (place * w->stride[2] - w->before[2] + taps.from) * w->channels + c;
    for (ptrdiff_t t = taps.from; t < taps.to; t++, from += w->channels) {
#pragma clang loop unroll(full)
      for (ptrdiff_t v = 0; v < vectors; v++) {
        const vf element = load(from + v * LANES);
        found[v] = average ? found[v] + element : larger(found[v], element);
      }
    }
  }
#pragma clang loop unroll(full)
  for (ptrdiff_t v = 0; v < vectors; v++) {
    store(y + c + v * LANES, average ? found[v] / count : found[v]);
  }
}

static void VARIANT(pool)(const struct ckpt_windows *w, size_t index, int average, float *y) {
  const struct row r = row_of(w, index);
  const ptrdiff_t rows =
      (r.taps[0].to - r.taps[0].from) * (r.taps[1].to - r.taps[1].from);
  for (ptrdiff_t place = 0; place < w->places[2]; place++, y += w->channels) {
    const struct inside taps = inside(w, 2, place);
    const float count = (float)(rows * (taps.to - taps.from));
    ptrdiff_t c = 0;
    for (; c + 4 * LANES <= w->channels; c += 4 * LANES) {
      pool_tile(4, w, r, taps, place, c, average, count, y);
    }
    for (; c + LANES <= w->channels; c += LANES) {
      pool_tile(1, w, r, taps, place, c, average, count, y);
    }
    if (c < w->channels && w->channels >= LANES) {
      pool_tile(1, w, r, taps, place, w->channels - LANES, average, count, y);
      continue;
    }
    for (; c < w->channels; c++) {
      float found = average ? 0 : -INFINITY;
      EACH_ROW(w, r) {
        const float *from =
            x + (place * w->stride[2] - w->before[2] + taps.from) * w->channels + c;
        for (ptrdiff_t t = taps.from; t < taps.to; t++, from += w->channels) {
          if (average) {
            found += *from;
          } else if (*from > found || *from != *from) {
            found = *from;
          }
        }
      }
      y[c] = average ? found / count : found;
    }
  }
}

static void VARIANT(standardize)(const float *x, const float *mean, const float *scale,
                                 const float *shift, float *y, size_t count) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    store(y + i, (load(x + i) - load(mean + i)) * load(scale + i) + load(shift + i));
  }
  for (; i < count; i++) y[i] = (x[i] - mean[i]) * scale[i] + shift[i];
}
