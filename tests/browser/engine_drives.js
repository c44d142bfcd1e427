// Drives as a test says, behind the page's own scripts; answers on the standard output. `input` is what the test asks.
const kernels = await Kernels.load(input.module, input.manifest);
const answers = [];
for (const { road, difficulty, observation, seed, level, level_seed: levelSeed, actions } of input.drives) {
  const environment = level
    ? new Builder(kernels).environment(level)
    : input.manifest.roads.find(({ name }) => name === road).environments[difficulty];
  const engine = new Engine(kernels, environment, observation);
  const record = new Record(engine, seed, levelSeed ?? null),
    states = [];
  for (const action of actions) {
    states.push(hex(sha256(engine.state)));
    if (engine.isOver) break;
    record.step(action);
  }
  const { options, map } = { options: hex(sha256(environment.options)), map: hex(sha256(engine.map.bytes)) };
  answers.push({
    digest: record.digest,
    outcome: record.outcome,
    length: record.actions.length,
    states,
    options,
    map,
    replay: record.toJson(),
  });
  engine.close();
}
console.log(JSON.stringify(answers));
