const FORMAT = 1; // of a replay's file, see `drivesim.replay_file`

/** A drive from its start on, with the digest by which Python knows that it goes that way. */
class Record {
  constructor(engine, seed, levelSeed = null) {
    this.engine = engine;
    this.seed = seed;
    this.levelSeed = levelSeed;
    this.actions = [];
    this.rewards = [];
    this.hash = sha256(engine.reset(seed, levelSeed));
    this.detail = engine.detail;
  }

  /** Take an action and note what came of it. */
  step(action) {
    const answer = this.engine.step(action),
      { obs } = this.engine;
    this.actions.push(action);
    this.rewards.push(answer.reward);
    const noted = new Uint8Array(this.hash.length + obs.length + 10),
      view = new DataView(noted.buffer);
    noted.set(this.hash);
    noted.set(obs, this.hash.length);
    view.setFloat64(noted.length - 10, answer.reward, true);
    view.setUint8(noted.length - 2, Number(answer.terminated));
    view.setUint8(noted.length - 1, Number(answer.truncated));
    this.hash = sha256(noted);
    this.detail = this.engine.detail;
    return answer;
  }

  get digest() {
    return hex(this.hash);
  }

  get isOver() {
    return this.engine.isOver;
  }

  get outcome() {
    const { success, episode_return: sum, episode_length: length } = this.detail.episode;
    return { success: success !== 0, return: sum, length };
  }

  /** The text of a replay's file. */
  toJson() {
    const { environment, kernels, observation } = this.engine,
      { success, return: sum, length } = this.outcome;
    const seen = observation === environment.observation ? {} : { observation }; // which the digest covers
    return `${JSON.stringify(
      {
        format: FORMAT,
        env_id: environment.id,
        options: { ...environment.kwargs, ...seen },
        seed: this.seed,
        actions: this.actions.join(""),
        digest: this.digest,
        outcome: { success, return: sum, length },
        episode: 0,
        level_seed: this.levelSeed,
        max_episode_steps: null,
        version: kernels.manifest.version,
      },
      null,
      1,
    )}\n`;
  }
}
