/** The rule-based driver: what numpy computes for it in Python, operation by operation; all are whole numbers. */
class Ruled {
  constructor(form) {
    this.form = form;
    this.observation = form.observation;
  }

  begin() {}

  decide() {
    return null;
  }

  act({ engine }) {
    return this.actionFor(engine.obs);
  }

  /** Its action for an observation, as it lies in memory. */
  actionFor(bytes) {
    const results = [Array.from(bytes)];
    for (const [name, ...given] of this.form.ops) {
      const values = given.map((one) => (typeof one === "number" ? results[one] : one));
      results.push(RULES_OF[name] ? RULES_OF[name](values, given) : byElement(ELEMENTS[name], values));
    }
    return results[this.form.result][0];
  }
}

/** A list as long as the longest given; of one that has but one number, that for all. */
function byElement(compute, values) {
  const length = Math.max(...values.map((one) => one.length));
  return Array.from({ length }, (_, n) => compute(...values.map((one) => one[one.length === 1 ? 0 : n])));
}

/** What is computed number by number. */
const ELEMENTS = {
  add: (one, other) => one + other,
  subtract: (one, other) => one - other,
  multiply: (one, other) => one * other,
  floor_divide: (one, other) => Math.floor(one / other),
  minimum: (one, other) => Math.min(one, other),
  maximum: (one, other) => Math.max(one, other),
  invert: (one) => 1 - one,
  greater: (one, other) => Number(one > other),
  greater_equal: (one, other) => Number(one >= other),
  less: (one, other) => Number(one < other),
  less_equal: (one, other) => Number(one <= other),
  equal: (one, other) => Number(one === other),
  not_equal: (one, other) => Number(one !== other),
  bitwise_and: (one, other) => one & other,
  bitwise_or: (one, other) => one | other,
  where: (condition, one, other) => (condition ? one : other),
};

/** What takes numbers from elsewhere, or one for several. */
const RULES_OF = {
  view([x], [, first, strides, shape]) {
    let places = [first];
    shape.forEach((size, axis) => {
      places = places.flatMap((place) => Array.from({ length: size }, (_, n) => place + n * strides[axis]));
    });
    return places.map((place) => x[place]);
  },
  take: ([x, places]) => places.map((place) => x[place]),
  any: ([x], [, size]) => runs(x, size).map((run) => Number(run.some(Boolean))),
  all: ([x], [, size]) => runs(x, size).map((run) => Number(run.every(Boolean))),
  argmax: ([x], [, size]) => runs(x, size).map((run) => run.indexOf(Math.max(...run))),
};

/** A list in pieces of a length. */
function runs(x, size) {
  return Array.from({ length: x.length / size }, (_, n) => x.slice(n * size, (n + 1) * size));
}
