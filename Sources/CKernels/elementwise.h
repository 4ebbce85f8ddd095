// Activations, sums, products, rotations, normalizations and softmax for one instruction set; see vector.h.

/// The activation of each lane. With a constant activation only its formula remains.
INLINE vf activated(const enum ckpt_activation activation, vf x) {
  const vf zero = {};
  switch (activation) {
    case CKPT_LINEAR: return x;
    case CKPT_RELU: return larger(x, zero);
    case CKPT_RELU6: return smaller(larger(x, zero), all(6));
    case CKPT_TANH: return vtanh(x);
    case CKPT_SIGMOID: return vlogistic(x);
    case CKPT_GELU_ERF: return 0.5f * x * (1.0f + verf(x * 0.70710678118654752f));
    case CKPT_GELU_TANH:
      return 0.5f * x * (1.0f + vtanh(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    case CKPT_GELU_QUICK: return x * vlogistic(1.702f * x);
    case CKPT_SILU: return x * vlogistic(x);
    case CKPT_MISH: {
      // tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2); from 20 on it is 1.
      const vf e = vexp(choose(x > 20.0f, all(20), x));
      const vf n = e * (e + 2.0f);
      return x * choose(x > 20.0f, all(1), n / (n + 2.0f));
    }
    case CKPT_ELU: return choose(x > 0.0f, x, vexp(x) - 1.0f);
    case CKPT_SELU:
      return 1.0507009873554805f * choose(x > 0.0f, x, 1.6732632423543772f * (vexp(x) - 1.0f));
    case CKPT_SOFTPLUS: return larger(x, zero) + vlog1p_unit(vexp(-magnitude(x)));
    case CKPT_SOFTSIGN: return x / (1.0f + magnitude(x));
    case CKPT_EXPONENTIAL: return vexp(x);
    case CKPT_HARD_SIGMOID: return larger(smaller(0.2f * x + 0.5f, all(1)), zero);
    case CKPT_LEAKY_RELU: return choose(x > 0.0f, x, 0.2f * x);
    case CKPT_SQUARED_RELU: return larger(x, zero) * larger(x, zero);
  }
  return x;
}

static void VARIANT(activate)(enum ckpt_activation activation, const float *in, float *out,
                              size_t count) {
  switch (activation) {
    case CKPT_LINEAR:
      if (in != out) memcpy(out, in, count * sizeof(float));
      break;
// One loop per activation.
#define EACH(activation)                                                     \
  case activation: {                                                         \
    size_t i = 0;                                                            \
    for (; i + LANES <= count; i += LANES) {                                 \
      store(out + i, activated(activation, load(in + i)));                   \
    }                                                                        \
    if (i < count) {                                                         \
      vf x = load_part(in + i, count - i, 0);                                \
      store_part(out + i, count - i, activated(activation, x));              \
    }                                                                        \
    break;                                                                   \
  }
    EACH(CKPT_RELU) EACH(CKPT_RELU6) EACH(CKPT_TANH) EACH(CKPT_SIGMOID)
    EACH(CKPT_GELU_ERF) EACH(CKPT_GELU_TANH) EACH(CKPT_GELU_QUICK) EACH(CKPT_SILU)
    EACH(CKPT_MISH) EACH(CKPT_ELU) EACH(CKPT_SELU) EACH(CKPT_SOFTPLUS) EACH(CKPT_SOFTSIGN)
    EACH(CKPT_EXPONENTIAL) EACH(CKPT_HARD_SIGMOID) EACH(CKPT_LEAKY_RELU)
    EACH(CKPT_SQUARED_RELU)
#undef EACH
  }
}

static void VARIANT(add)(const float *a, const float *b, float *y, size_t count) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) store(y + i, load(a + i) + load(b + i));
  for (; i < count; i++) y[i] = a[i] + b[i];
}

static void VARIANT(hadamard)(const float *a, const float *b, float *y, size_t count) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) store(y + i, load(a + i) * load(b + i));
  for (; i < count; i++) y[i] = a[i] * b[i];
}

static void VARIANT(rotate)(const float *x, const float *cosines, const float *sines, float *y,
                            size_t pairs) {
  for (size_t i = 0; i < pairs; i++) {
    const float a = x[2 * i], b = x[2 * i + 1];
    y[2 * i] = a * cosines[i] - b * sines[i];
    y[2 * i + 1] = b * cosines[i] + a * sines[i];
  }
}

/// `y = (x − mean) · inverse · gamma + beta`; a null gamma is 1, a null beta 0.
INLINE void normalized(const float *x, float mean, float inverse, const float *gamma,
                       const float *beta, float *y, size_t width) {
  size_t i = 0;
  for (; i + LANES <= width; i += LANES) {
    vf v = (load(x + i) - mean) * inverse;
    if (gamma) v *= load(gamma + i);
    store(y + i, beta ? v + load(beta + i) : v);
  }
  for (; i < width; i++) {
    float v = (x[i] - mean) * inverse;
    if (gamma) v *= gamma[i];
    y[i] = beta ? v + beta[i] : v;
  }
}

static void VARIANT(rms_norm)(const float *x, const float *gamma, const float *beta, float epsilon,
                              float *y, size_t width) {
  const size_t whole = width - width % LANES;
  vf squares[2] = {};
  float rest = 0;
  for (size_t i = 0; i < whole; i += LANES) {
    vf v = load(x + i);
    squares[(i / LANES) & 1] += v * v;
  }
  for (size_t i = whole; i < width; i++) rest += x[i] * x[i];
  const float square = (sum_of(squares[0] + squares[1]) + rest) / (float)width;
  const float root = sqrtf(square + epsilon);
  normalized(x, 0, root == 0 ? 0 : 1 / root, gamma, beta, y, width);
}

static void VARIANT(layer_norm)(const float *x, const float *residual, const float *gamma,
                                const float *beta, float epsilon, float *y, size_t width) {
  const size_t whole = width - width % LANES;
  vf sums[2] = {};
  float rest = 0;
  if (residual) {
    for (size_t i = 0; i < whole; i += LANES) {
      vf v = load(x + i) + load(residual + i);
      store(y + i, v);
      sums[(i / LANES) & 1] += v;
    }
    for (size_t i = whole; i < width; i++) rest += y[i] = x[i] + residual[i];
    x = y;
  } else {
    for (size_t i = 0; i < whole; i += LANES) sums[(i / LANES) & 1] += load(x + i);
    for (size_t i = whole; i < width; i++) rest += x[i];
  }
  const float mean = (sum_of(sums[0] + sums[1]) + rest) / (float)width;
  vf squares[2] = {};
  rest = 0;
  for (size_t i = 0; i < whole; i += LANES) {
    vf d = load(x + i) - mean;
    squares[(i / LANES) & 1] += d * d;
  }
  for (size_t i = whole; i < width; i++) rest += (x[i] - mean) * (x[i] - mean);
  const float variance = (sum_of(squares[0] + squares[1]) + rest) / (float)width;
  const float deviation = sqrtf(variance + epsilon);
  // A row of equal elements has no direction; without an epsilon it would divide 0 by 0.
  const float inverse = deviation == 0 ? 0 : 1 / deviation;
  normalized(x, mean, inverse, gamma, beta, y, width);
}

static void VARIANT(softmax)(float *row, const float *mask, float scale, size_t count) {
  const vf hidden = all(-INFINITY);
  const size_t whole = count - count % LANES, part = count - whole;
  vf largest = hidden, tail = hidden;
  if (mask) {
    vi any = {};
    for (size_t i = 0; i < whole; i += LANES) {
      vi visible = load(mask + i) != 0.0f;
      vf v = choose(visible, load(row + i) * scale, hidden);
      store(row + i, v);
      largest = choose(v > largest, v, largest);
      any |= visible;
    }
    if (part) {
      vi visible = load_part(mask + whole, part, 0) != 0.0f;
      tail = choose(visible, load_part(row + whole, part, 0) * scale, hidden);
      any |= visible;
    }
    int seen = 0;
    for (int i = 0; i < LANES; i++) seen |= any[i];
    if (!seen) {
      for (size_t i = 0; i < count; i++) row[i] = 1 / (float)count;
      return;
    }
  } else {
    for (size_t i = 0; i < whole; i += LANES) {
      vf v = load(row + i) * scale;
      store(row + i, v);
      largest = choose(v > largest, v, largest);
    }
    if (part) {
      tail = load_part(row + whole, part, 0) * scale;
      for (size_t i = part; i < LANES; i++) tail[i] = -INFINITY;
    }
  }
  largest = choose(tail > largest, tail, largest);
  float most = -INFINITY;
  for (int i = 0; i < LANES; i++) most = largest[i] > most ? largest[i] : most;
  vf sums = {};
  for (size_t i = 0; i < whole; i += LANES) {
    vf e = vexp(load(row + i) - most);
    store(row + i, e);
    sums += e;
  }
  float sum = sum_of(sums);
  if (part) {
    tail = vexp(tail - most);
    for (size_t i = 0; i < part; i++) sum += tail[i];
  }
  const float share = 1 / sum;
  for (size_t i = 0; i < whole; i += LANES) store(row + i, load(row + i) * share);
  if (part) store_part(row + whole, part, tail * share);
}
