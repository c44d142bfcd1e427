// What would be seen without each thing, in states to which drives lead; answers on the standard output.
const kernels = await Kernels.load(input.module, input.manifest),
  answers = [];
for (const { road, observation, seed, actions } of input.drives) {
  const environment = input.manifest.roads.find(({ name }) => name === road).environments.medium;
  const engine = new Engine(kernels, environment, observation);
  engine.reset(seed);
  for (const action of actions) engine.step(action);
  const before = hex(sha256(engine.state)),
    plain = hex(engine.obs),
    seen = {};
  for (const [cell, obs] of new Occlusions(engine).observations()) {
    if (hex(obs) !== plain) seen[placeOf(engine.map.heads(), cell)] = hex(sha256(obs));
  }
  answers.push({ seen, isUnchanged: hex(sha256(engine.state)) === before });
  engine.close();
}
console.log(JSON.stringify(answers));
