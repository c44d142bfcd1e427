// A host of the kernels' WebAssembly: node host.mjs MODULE DESCRIPTION JOB ACTIONS, the last one byte for each action.
// Drives a batch of worlds as object_drives.py does, and prints the SHA-256 of all that came of the reset and of every step.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const [modulePath, descriptionPath, jobPath, actionsPath] = process.argv.slice(2);
const compiled = new WebAssembly.Module(readFileSync(modulePath));
if (WebAssembly.Module.imports(compiled).length) throw new Error("the module imports something");
const kernels = new WebAssembly.Instance(compiled, {}).exports;
const about = JSON.parse(readFileSync(descriptionPath));
const job = JSON.parse(readFileSync(jobPath));

let end = kernels.__heap_base.value;
function room(size) {
  const begin = (end + 15) & ~15;
  end = begin + size;
  const missing = end - kernels.memory.buffer.byteLength;
  if (missing > 0) kernels.memory.grow(Math.ceil(missing / 65536));
  return begin;
}
const view = () => new DataView(kernels.memory.buffer);
const bytes = (address, size) => new Uint8Array(kernels.memory.buffer, address, size);

const scenario = about.scenarios[job.scenario];
const sizes = job.sizes ?? scenario.difficulties[job.difficulty];
const { num_worlds: n, steps } = job;
const [shape, form] = sizes.observations[job.observation];
const cells = shape.reduce((a, b) => a * b);
const rowSize = cells * Number(form.slice(1));
const { fields, words } = about.frames.batch;
const frame = room(8 * words);
const set = (name, ...values) =>
  values.forEach((value, i) => view().setBigInt64(frame + 8 * (fields[name][0] + i), BigInt(value), true));
const batch = (name, address, layout, stride = layout.size) =>
  set(name, address, stride, layout.size, ...layout.blocks.map(([offset]) => offset));
const bound = (number) => view().getUint32(kernels["drivesim.bindings"].value + 4 * number, true);

const numMaps = scenario.maps_by === 0 ? 1 : scenario.maps_by === 3 ? 2 * sizes.num_maps : n;
const places = {
  worlds: room(n * sizes.world.size),
  maps: room(numMaps * sizes.map.size),
  options: room(about.records.OPTIONS.size),
  mask: room(n),
  level_seeds: room(8 * n),
  actions: room(8 * n),
  obs_out: room(n * rowSize),
  rewards_out: room(8 * n),
  terminations_out: room(n),
  truncations_out: room(n),
  details_out: room(n * about.records.DETAIL.size),
  final_obs_out: room(n * rowSize),
  order: room(4 * n),
  beginning: room(4 * n),
  num_beginning: room(4),
};
const scratchSize = 4 * 4 * Math.max(cells, ...sizes.world.blocks.map(([, count]) => count), 2 * sizes.num_maps);
const scratch = room(scratchSize);
bytes(places.options, about.records.OPTIONS.size).set(Buffer.from(sizes.options, "hex"));
view().setInt32(places.options + about.records.OPTIONS.fields.max_steps[0], job.max_steps, true);
batch("worlds", places.worlds, sizes.world);
batch("maps", places.maps, sizes.map);
for (const name of Object.keys(places)) if (fields[name][1] === "block") set(name, places[name]);
set("obs_out", places.obs_out, rowSize);
set("final_obs_out", places.final_obs_out, rowSize);
set("scratch", scratch, scratchSize);
set("maps_by", scenario.maps_by);
set("num_maps", sizes.num_maps);
set("autoreset", job.autoreset);
set("is_detailed", 1);
if (job.library) {
  for (const name of ["maps", "worlds"]) {
    const levels = Buffer.from(job.library[name], "base64");
    const address = room(levels.length);
    bytes(address, levels.length).set(levels);
    batch(`library_${name}`, address, name === "maps" ? sizes.map : sizes.world);
  }
  set("library_size", job.library_size);
} else {
  set("lay", bound(scenario.lay));
  set("populate", bound(scenario.populate));
}
set("encode", bound(about.bindings.indexOf(job.encode)));

const { head } = about.structures.World;
for (let i = 0; i < n; i++) {
  const world = places.worlds + i * sizes.world.size;
  view().setBigInt64(world + head.episode[0], -1n, true);
  view().setInt32(world + head.scenario[0], scenario.number, true);
  view().setUint32(world + head.key_0[0], job.keys[i][0], true);
  view().setUint32(world + head.key_1[0], job.keys[i][1], true);
  view().setInt32(places.order + 4 * i, i, true);
  view().setBigInt64(places.level_seeds + 8 * i, -1n, true);
  bytes(places.mask, n)[i] = 1;
}
if (scenario.maps_by === 0) {
  if (!kernels["core.laying.lay_map"](frame)) throw new Error("no road");
  batch("maps", places.maps, sizes.map, 0);
}
if (scenario.maps_by === 3) for (let m = 0; m < numMaps; m++) kernels["core.laying.lay_pool"](frame, m);

const digest = createHash("sha256");
const parts = [
  [places.worlds, n * sizes.world.size],
  [places.maps, numMaps * sizes.map.size],
  [places.obs_out, n * rowSize],
  [places.rewards_out, 8 * n],
  [places.terminations_out, n],
  [places.truncations_out, n],
  [places.details_out, n * about.records.DETAIL.size],
  [places.final_obs_out, n * rowSize],
];
if (scenario.maps_by === 3) digest.update(bytes(...parts.splice(1, 1)[0])); // a pool does not change
const note = () => parts.forEach(([address, size]) => digest.update(bytes(address, size)));
if (kernels["core.batch.reset_worlds"](frame, 0, n, 0)) throw new Error("a level is refused");
note();
const actions = readFileSync(actionsPath);
for (let t = 0; t < steps; t++) {
  for (let i = 0; i < n; i++) view().setBigInt64(places.actions + 8 * i, BigInt(actions[t * n + i]), true);
  const beginning = kernels["core.batch.step_worlds"](frame, 0, n, 0);
  if (kernels["core.batch.begin_worlds"](frame, 0, beginning, 0)) throw new Error("a level is refused");
  note();
}
console.log(digest.digest("hex"));
