// The gates of recurrent cells for one instruction set; see vector.h and elementwise.h.
//
// One pass over the units of a row: each lane adds its sums, applies the activations and moves the
// state. `sums`, `h`, `c` and `reset` have LANES floats of room behind them, so that only `x`,
// which is a row of a graph's value, needs care at its end.

/// LANES floats at `offset` of a row of `count`; those behind its end are 0.
INLINE vf load_inside(const float *row, size_t offset, size_t count) {
  return offset + LANES <= count ? load(row + offset)
                                 : load_part(row + offset, count - offset, 0);
}

// The argument of gate `g` of a cell that has `gates`, for the lanes at `i`.
#define GATE(g, gates) \
  (load_inside(x, (g) * units + i, (gates) * units) + load(sums + (g) * units + i))

INLINE void simple_lanes(const enum ckpt_activation activation, size_t units, const float *x,
                         const float *sums, float *h) {
  for (size_t i = 0; i < units; i += LANES) store(h + i, activated(activation, GATE(0, 1)));
}

INLINE void lstm_lanes(const enum ckpt_activation activation, const enum ckpt_activation recurrent,
                       size_t units, const float *x, const float *sums, float *h, float *c) {
  for (size_t i = 0; i < units; i += LANES) {
    const vf input = activated(recurrent, GATE(0, 4));
    const vf forget = activated(recurrent, GATE(1, 4));
    const vf candidate = activated(activation, GATE(2, 4));
    const vf output = activated(recurrent, GATE(3, 4));
    const vf cell = forget * load(c + i) + input * candidate;
    store(c + i, cell);
    store(h + i, output * activated(activation, cell));
  }
}

INLINE vf mixed(vf update, vf h, vf candidate) { return update * h + (1.0f - update) * candidate; }

INLINE void gru_lanes(const enum ckpt_activation activation, const enum ckpt_activation recurrent,
                      size_t units, const float *x, const float *sums, float *h) {
  for (size_t i = 0; i < units; i += LANES) {
    const vf update = activated(recurrent, GATE(0, 3));
    const vf reset = activated(recurrent, GATE(1, 3));
    const vf candidate = activated(activation, load_inside(x, 2 * units + i, 3 * units) +
                                                   reset * load(sums + 2 * units + i));
    store(h + i, mixed(update, load(h + i), candidate));
  }
}

INLINE void gru_reset_lanes(const enum ckpt_activation recurrent, size_t units, const float *x,
                            const float *sums, const float *h, float *reset) {
  for (size_t i = 0; i < units; i += LANES) {
    store(reset + i, activated(recurrent, GATE(1, 3)) * load(h + i));
  }
}

INLINE void gru_update_lanes(const enum ckpt_activation activation,
                             const enum ckpt_activation recurrent, size_t units, const float *x,
                             const float *sums, const float *candidates, float *h) {
  for (size_t i = 0; i < units; i += LANES) {
    const vf update = activated(recurrent, GATE(0, 3));
    const vf candidate = activated(
        activation, load_inside(x, 2 * units + i, 3 * units) + load(candidates + i));
    store(h + i, mixed(update, load(h + i), candidate));
  }
}

// The usual activations are constants of their own copy of the loop.
#define USUAL (activation == CKPT_TANH && recurrent == CKPT_SIGMOID)

static void VARIANT(simple_gates)(enum ckpt_activation activation, size_t units, const float *x,
                                  const float *sums, float *h) {
  if (activation == CKPT_TANH) {
    simple_lanes(CKPT_TANH, units, x, sums, h);
  } else {
    simple_lanes(activation, units, x, sums, h);
  }
}

static void VARIANT(lstm_gates)(enum ckpt_activation activation, enum ckpt_activation recurrent,
                                size_t units, const float *x, const float *sums, float *h,
                                float *c) {
  if (USUAL) {
    lstm_lanes(CKPT_TANH, CKPT_SIGMOID, units, x, sums, h, c);
  } else {
    lstm_lanes(activation, recurrent, units, x, sums, h, c);
  }
}

static void VARIANT(gru_gates)(enum ckpt_activation activation, enum ckpt_activation recurrent,
                               size_t units, const float *x, const float *sums, float *h) {
  if (USUAL) {
    gru_lanes(CKPT_TANH, CKPT_SIGMOID, units, x, sums, h);
  } else {
    gru_lanes(activation, recurrent, units, x, sums, h);
  }
}

static void VARIANT(gru_reset)(enum ckpt_activation recurrent, size_t units, const float *x,
                               const float *sums, const float *h, float *reset) {
  if (recurrent == CKPT_SIGMOID) {
    gru_reset_lanes(CKPT_SIGMOID, units, x, sums, h, reset);
  } else {
    gru_reset_lanes(recurrent, units, x, sums, h, reset);
  }
}

static void VARIANT(gru_update)(enum ckpt_activation activation, enum ckpt_activation recurrent,
                                size_t units, const float *x, const float *sums,
                                const float *candidates, float *h) {
  if (USUAL) {
    gru_update_lanes(CKPT_TANH, CKPT_SIGMOID, units, x, sums, candidates, h);
  } else {
    gru_update_lanes(activation, recurrent, units, x, sums, candidates, h);
  }
}
#undef USUAL
#undef GATE
