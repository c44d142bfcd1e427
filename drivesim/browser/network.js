const FLOATS = { f4: Float32Array, u1: Uint8Array };

/** A trained driver: its network, whose weights are 8-bit integers with a scale for each output. */
class Trained {
  constructor(form) {
    this.observation = form.observation;
    this.form = form;
    this.weights = Object.fromEntries(Object.entries(form.weights).map(([name, weight]) => [name, weightOf(weight)]));
  }

  begin() {}

  /** Scores of the actions for an observation, as it lies in memory. */
  scores(bytes, form) {
    const kind = FLOATS[form],
      obs = Float32Array.from(new kind(bytes.slice().buffer));
    const results = [{ data: obs, shape: [1, obs.length] }];
    for (const [name, given, shape, factor] of this.form.ops) {
      const values = given.map((one) =>
        Array.isArray(one) ? one[0] : typeof one === "number" ? results[one] : this.weights[one],
      );
      results.push({ data: OPERATIONS[name](values, shape, factor), shape });
    }
    return Array.from(results[this.form.scores].data);
  }

  /** What it would do now, what it thinks of each action, and, if it has to tell, which cells matter. */
  decide({ engine, hasXray }) {
    const decision = this.judge(engine.obs, engine.shown.form, this.allowed(engine));
    if (!hasXray) return decision;
    if (this.occlusions?.engine !== engine) this.occlusions = new Occlusions(engine);
    return { ...decision, saliency: saliencyOf(this.occlusions, this, decision) };
  }

  /** Which actions are open to it, 0 for those that are not; nothing if it was trained without masks. */
  allowed(engine) {
    return this.form.uses_action_masks ? engine.detail.mask : [];
  }

  judge(bytes, form, allowed) {
    let scores = this.scores(bytes, form).map((score, n) => (allowed[n] === 0 ? -Infinity : score));
    const action = scores.indexOf(Math.max(...scores));
    if (this.form.is_probability) {
      const powers = scores.map((score) => Math.exp(score - scores[action])),
        sum = powers.reduce((one, other) => one + other);
      scores = powers.map((power) => power / sum);
    }
    return { scores, action, is_probability: this.form.is_probability, saliency: [] };
  }

  act({ decision }) {
    return decision.action;
  }
}

/** A weight as numbers: codes times the scale of their output, or as they are. */
function weightOf({ shape, codes, scales, values }) {
  if (values !== undefined) return { shape, data: new Float32Array(fromBase64(values).buffer) };
  const whole = new Int8Array(fromBase64(codes).buffer),
    steps = new Float32Array(fromBase64(scales).buffer);
  const width = whole.length / steps.length;
  return { shape, data: Float32Array.from(whole, (code, n) => code * steps[Math.floor(n / width)]) };
}

/** Layers of a network for one observation: from arguments and the result's shape to the result's numbers. */
const OPERATIONS = {
  linear([x, weight, bias]) {
    const [outputs, inputs] = weight.shape,
      result = new Float32Array(outputs);
    for (let i = 0; i < outputs; i++) {
      let sum = 0;
      for (let j = 0; j < inputs; j++) sum += weight.data[i * inputs + j] * x.data[j];
      result[i] = sum + (bias ? bias.data[i] : 0);
    }
    return result;
  },
  layer_norm([x, , weight, bias, epsilon]) {
    const { length } = x.data,
      mean = x.data.reduce((sum, value) => sum + value, 0) / length;
    const variance = x.data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / length;
    return x.data.map((value, n) => ((value - mean) / Math.sqrt(variance + epsilon)) * weight.data[n] + bias.data[n]);
  },
  relu: ([x]) => x.data.map((value) => Math.max(value, 0)),
  tanh: ([x]) => x.data.map(Math.tanh),
  same: ([x]) => x.data,
  reshape: ([x]) => x.data,
  bfloat16: ([x]) => {
    // the nearest of 8 significant bits, the even one of two
    const bits = new Uint32Array(x.data.slice().buffer).map(
      (word) => (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000,
    );
    return new Float32Array(bits.buffer);
  },
  add: ([x, y], shape, factor) => elementwise(x, y, shape, (one, other) => one + factor * other),
  sub: ([x, y], shape, factor) => elementwise(x, y, shape, (one, other) => one - factor * other),
  mul: ([x, y], shape) => elementwise(x, y, shape, (one, other) => one * other),
  mean: ([x]) => Float32Array.of(x.data.reduce((sum, value) => sum + value, 0) / x.data.length),
  slice: ([x, , begin, end]) => x.data.slice(begin, end),
};

/** Two results or numbers, the shorter one repeated. */
function elementwise(x, y, shape, compute) {
  const [one, other] = [x, y].map((value) => value.data ?? [value]);
  return Float32Array.from({ length: shape.reduce((size, side) => size * side, 1) }, (_, n) =>
    compute(one[n % one.length], other[n % other.length]),
  );
}
