const GHOST_OPACITY = 0.55;

/** One drive: its world, what it was before the last tick, and the record of it. */
class Drive {
  constructor(engine, seed, driver, hasXray = false) {
    this.engine = engine;
    this.driver = driver;
    this.hasXray = hasXray;
    this.record = new Record(engine, seed);
    this.world = readWorld(engine.world);
    this.before = null;
    this.log = []; // [tick, event]
    this.driver.begin(this);
    this.think();
  }

  /** Ask a driver that tells what it thinks. */
  think() {
    this.decision = this.isOver ? null : this.driver.decide(this);
  }

  get isOver() {
    return this.record.isOver;
  }

  get ticks() {
    return this.record.actions.length;
  }

  /** Let the driver act, unless it has nothing to say yet; whether a tick has passed. */
  step() {
    const action = this.isOver ? null : this.driver.act(this);
    if (action === null) return false;
    this.before = this.world;
    this.record.step(action);
    this.world = readWorld(this.engine.world);
    const bits = this.world.egos[0].events;
    for (const event of this.engine.kernels.manifest.events) if (bits & event.bit) this.log.push([this.ticks, event]);
    this.think();
    return true;
  }

  get completion() {
    const { route_length: length, remaining } = this.world.egos[0];
    return Math.max(0, (length - remaining) / Math.max(1, length));
  }

  /** How it ended, in words. */
  get ending() {
    const last = this.log.filter(([, event]) => event.ends).at(-1);
    if (!last) return "out of time";
    return last[1].kind === "good" && !this.record.outcome.success
      ? `${last[1].label}, but not by the rules`
      : last[1].label;
  }
}

/** Does what the keys and the pad say: the last one in a tick, or one held that changes the speed; else IDLE. */
class Human {
  constructor(names) {
    this.names = names;
    this.wishes = [];
    this.held = new Set();
  }

  begin() {
    this.wishes = [];
  }

  decide() {
    return null;
  }

  /** Whether time stands still until a key is pressed: where there is no IDLE. */
  get waits() {
    return !this.names.includes("IDLE");
  }

  wish(name) {
    this.wishes.push(name);
  }

  act() {
    const held = ["FASTER", "SLOWER"].find((name) => this.held.has(name));
    const name = this.wishes.splice(0).at(-1) ?? (this.waits ? null : (held ?? "IDLE"));
    return name === null ? null : this.names.indexOf(name);
  }
}

/** Drives as it was recorded; what comes behind the record is IDLE, or as it was last. */
class Recorded {
  constructor(actions, names) {
    this.actions = actions;
    this.idle = names.indexOf("IDLE");
  }

  begin() {}

  decide() {
    return null;
  }

  act({ ticks }) {
    return this.actions[ticks] ?? (this.idle >= 0 ? this.idle : (this.actions.at(-1) ?? 0));
  }
}
