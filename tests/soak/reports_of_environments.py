"""Reports on simulators and on what they are driven through, tried here; the functions fail if they hold."""

from __future__ import annotations

import gc
import os
import pickle
import random
import re
import time
import warnings
from pathlib import Path

import caches
import gymnasium as gym
import multi
import numpy as np
from env_tools import (
    CITY,
    FOUR_WAY_STOP,
    GENERATED,
    HIGHWAY,
    IDS,
    INTERSECTION,
    LANE_KEEP,
    MODES,
    OBSERVATIONS,
    OBSTACLES,
    REFUSALS,
    assert_same,
    draw_actions,
    world_bytes,
)
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import vector as wrappers
from report_table import fresh, report
from test_kernel_cache import Workshop

import drivesim
from agents.scripted import make_scripted
from drivesim.config import REWARDS
from drivesim.core.map import OBSTACLE, UNREACHABLE
from drivesim.vector_env import DriveVectorEnv

NEXT_STEP, SAME_STEP, DISABLED = MODES
SLOWER, FASTER = 4, 3
CROSSWALK = "drivesim/Crosswalk-v1"


# --- one answer, whoever asks ------------------------------------------------------------------------------------
@report("JAX #13672, #20047, #26308, #26795, #31919, #38768; penzai #82", "results depend on the size of the batch")
def any_size_of_batch(folder: Path) -> None:
    """Env 5 of 300, of 7 and alone, 150 steps: observations, rewards and ends are equal to the bit."""
    for env_id in (HIGHWAY, CITY):
        found = []
        for num_envs, first in ((300, 0), (7, 0), (1, 5)):
            envs = gym.make_vec(env_id, num_envs=num_envs, autoreset_mode="SameStep")
            place, told = 5 - first, [envs.reset(seed=first)[0][5 - first].tobytes()]
            for actions in np.random.default_rng(0).integers(0, 4, 150):
                answer = envs.step(np.full(num_envs, actions))[:4]
                told += [part[place].tobytes() for part in answer]
            found.append(told)
        assert found[0] == found[1] == found[2]


@report("Gymnasium, `phys2d/cartpole.py`", "the batched environment has other physics than the single one")
def single_and_batch(folder: Path) -> None:
    """Every id, 60 steps of an episode: the single environment and a batch of one answer alike."""
    for env_id in IDS:
        one, batch = gym.make(env_id), gym.make_vec(env_id, num_envs=1)
        assert_same(one.reset(seed=9)[0], batch.reset(seed=9)[0][0])
        rng = np.random.default_rng(1)
        for _ in range(60):
            action = int(draw_actions(rng, int(one.action_space.n), None))
            obs, reward, terminated, truncated, _ = one.step(action)
            answer = batch.step(np.array([action]))
            assert_same(obs, answer[0][0])
            assert (reward, terminated, truncated) == tuple(part[0] for part in answer[1:4])
            if terminated or truncated:
                break


@report("navix #82; jumanji #241; MinAtar, Craftax: errata", "the fast port does something else than the slow original")
def compiled_and_plain(folder: Path) -> None:
    """The same lines in the plain interpreter, in a process of its own, 40 steps of two envs: one SHA-256."""
    code = (
        "import hashlib, gymnasium as gym, numpy as np, drivesim\n"
        f"envs = gym.make_vec({INTERSECTION!r}, num_envs=2); sha = hashlib.sha256()\n"
        "sha.update(envs.reset(seed=3)[0].tobytes()); rng = np.random.default_rng(0)\n"
        "for _ in range(40):\n"
        "    for part in envs.step(rng.integers(0, 5, 2))[:4]: sha.update(part.tobytes())\n"
        "print(sha.hexdigest())"
    )
    assert fresh(code, NUMBA_DISABLE_JIT="1") == fresh(code, NUMBA_DISABLE_JIT="0")


@report("PufferDrive PR #355", "a generator of the whole process is drawn from, so that others change what happens")
def no_global_dice(folder: Path) -> None:
    """Python's and NumPy's generators are as before, however they are seeded, and change nothing."""
    found = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        before = random.getstate(), pickle.dumps(np.random.get_state())  # noqa: NPY002
        envs = gym.make_vec(CITY, num_envs=4)
        envs.reset(seed=5)
        for _ in range(50):
            obs = envs.step(np.full(4, FASTER))[0]
        found.append(obs.tobytes())
        assert before == (random.getstate(), pickle.dumps(np.random.get_state()))  # noqa: NPY002
    assert found[0] == found[1]


@report("Brax, `AutoResetWrapper`", "every episode of an env begins alike")
def episodes_differ(folder: Path) -> None:
    """40 episodes of an env, begun one after the other without a seed: 40 first observations."""
    env = gym.make(HIGHWAY, observation="full_grid")
    firsts = [env.reset(seed=0)[0].tobytes(), *(env.reset()[0].tobytes() for _ in range(39))]
    assert len(set(firsts)) == 40


@report("SUMO #12893, #16428; sumo-rl #47", "several environments at once crash, or get in each other's way")
def beside_each_other(folder: Path) -> None:
    """Ten environments in turn, and three in processes of their own: as if each were alone, 40 steps."""
    envs = [gym.make(CITY) for _ in range(10)]
    for n, env in enumerate(envs):
        env.reset(seed=n)
    async_envs = gym.make_vec(CITY, num_envs=3, vectorization_mode="async")
    async_envs.reset(seed=0)
    alive = np.ones(3, np.bool_)
    for _ in range(40):
        obs, *answers, _ = async_envs.step(np.full(3, FASTER))
        for env in envs[3:]:
            if any(env.step(FASTER)[2:4]):
                env.reset()
        for n in np.flatnonzero(alive):
            own = envs[n].step(FASTER)
            assert_same(own[0], obs[n])
            assert own[1:4] == tuple(part[n] for part in answers)
            alive[n] = not (own[2] or own[3])
    async_envs.close()


# --- interfaces --------------------------------------------------------------------------------------------------
@report("MetaDrive #303, #548", "the environment is not what Gymnasium asks for")
def gymnasium_checker(folder: Path) -> None:
    """Gymnasium's own checker on every id, warnings as errors."""
    for env_id in IDS:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_env(gym.make(env_id, disable_env_checker=True).unwrapped, skip_render_check=True)


@report("Gymnasium #626, #689; Ray #57643", "`make_vec` runs copies of the single environment instead of the batch")
def native_batch(folder: Path) -> None:
    """Without further words `make_vec` gives the batch, in any of the three autoreset modes."""
    for mode in MODES:
        envs = gym.make_vec(HIGHWAY, num_envs=3, autoreset_mode=mode)
        assert isinstance(envs.unwrapped, DriveVectorEnv)
        assert envs.metadata["autoreset_mode"] is mode


@report(
    "Gymnasium #885, #914, #1103, PR #1227; cleanrl #499; envpool #194; torchrl #2473", "when does an env begin anew?"
)
def autoreset_modes_agree(folder: Path) -> None:
    """The three modes, every env until its first end: one last observation, return and way of ending."""
    found = []
    for mode in MODES:
        envs = gym.make_vec(INTERSECTION, num_envs=32, autoreset_mode=mode, max_episode_steps=25)
        envs.reset(seed=0)
        rng, told = np.random.default_rng(0), {}
        for tick in range(26):
            obs, rewards, terminations, truncations, infos = envs.step(draw_actions(rng, 5, 32))
            for n in np.flatnonzero(terminations | truncations):
                last = infos["final_obs"][n] if mode is SAME_STEP else obs[n]
                told.setdefault(n, (tick, last.tobytes(), rewards[n], terminations[n], truncations[n]))
            if len(told) == 32:
                break
            if mode is DISABLED and (terminations | truncations).any():
                envs.reset(options={"reset_mask": terminations | truncations})
        found.append(told)
    assert len(found[0]) == 32
    assert found[0] == found[1] == found[2]


@report("Gymnasium #1624, #1668", "statistics of wrappers are wrong where an episode ends and begins in one step")
def episode_statistics(folder: Path) -> None:
    """`RecordEpisodeStatistics` over a batch: returns and lengths are those that the infos tell."""
    envs = wrappers.RecordEpisodeStatistics(gym.make_vec(OBSTACLES, num_envs=16, autoreset_mode="SameStep"))
    envs.reset(seed=0)
    rng, num_ended = np.random.default_rng(0), 0
    for _ in range(120):
        _, _, terminations, truncations, infos = envs.step(draw_actions(rng, 5, 16))
        for n in np.flatnonzero(terminations | truncations):
            assert infos["episode"]["l"][n] == infos["final_info"]["episode_length"][n]
            assert np.isclose(infos["episode"]["r"][n], infos["final_info"]["episode_return"][n], rtol=0, atol=1e-4)
            num_ended += 1
    assert num_ended > 16


@report("gym #3281; sheeprl #79; metamotivo #19", "a worker that the system has killed leaves the others waiting")
def dead_workers(folder: Path) -> None:
    """A worker of Gymnasium's is killed: an error within two seconds, three times."""
    for number in range(3):
        caches.lose_a_worker(number)


@report("Gymnasium #1522", "closing twice, or not at all, raises or warns")
def closing(folder: Path) -> None:
    """Closed twice, left as a context and left to the garbage: no error, no warning; a closed one is not stepped."""
    with warnings.catch_warnings(), gym.make(HIGHWAY) as left:
        warnings.simplefilter("error")
        left.reset(seed=0)
        envs = gym.make_vec(HIGHWAY, num_envs=600, num_threads=2)
        envs.reset(seed=0)
        envs.step(np.ones(600, np.int64))
        envs.close()
        envs.close()
        try:
            envs.step(np.ones(600, np.int64))
        except REFUSALS:
            pass
        else:
            raise AssertionError("a closed one is stepped")
        gym.make_vec(HIGHWAY, num_envs=600, num_threads=2).reset(seed=0)
        gc.collect()


@report(
    "gymnax, `docs/api_rfc.md`; jumanji, `maze/env.py`",
    "a time limit is told as an end, or is another one than it says",
)
def time_limits(folder: Path) -> None:
    """Every id, standing still: cut, not ended, in the step that its registration says, unless something hits it."""
    for env_id in IDS:
        limit = gym.spec(env_id).max_episode_steps
        envs = gym.make_vec(env_id, num_envs=8, autoreset_mode="Disabled")
        envs.reset(seed=0)
        action, num_cut = (1 if "Parking" in env_id else int(envs.single_action_space.n) - 1), 0
        open_ = np.ones(8, np.bool_)
        for tick in range(1, limit + 1):
            _, _, terminations, truncations, _ = envs.step(np.full(8, action))
            assert tick == limit or "Custom" in env_id or not truncations[open_].any()
            num_cut += int((truncations & open_).sum())
            open_ &= ~(terminations | truncations)
            if not open_.any():
                break
            if not open_.all():
                envs.reset(options={"reset_mask": ~open_})
        assert num_cut + int("Autodrive" in env_id) > 0


@report("PufferLib, `squared`; MiniGrid", "observations are not in the space that is declared")
def declared_spaces(folder: Path) -> None:
    """Every id with every observation, 25 steps of 4 envs at random: dtype, shape and bounds of each."""
    for env_id in IDS:
        for observation in OBSERVATIONS:
            envs = gym.make_vec(env_id, num_envs=4, observation=observation)
            obs, rng = envs.reset(seed=2)[0], np.random.default_rng(2)
            for _ in range(25):
                assert obs in envs.observation_space
                obs = envs.step(draw_actions(rng, int(envs.single_action_space.n), 4))[0]


@report("MinAtar #15; HighwayEnv #26; rl-agents #51", "no copy to look ahead with, or one that disturbs the original")
def looking_ahead(folder: Path) -> None:
    """300 forks of a moment, each driven ten steps: the original goes on as a twin that nobody looked ahead from."""
    envs, twin, ahead = (gym.make_vec(INTERSECTION, num_envs=num) for num in (2, 2, 300))
    for each in (envs, twin, ahead):
        each.reset(seed=8)
    for _ in range(5):
        envs.step(np.full(2, FASTER))
        twin.step(np.full(2, FASTER))
        ahead.unwrapped.set_state(envs.unwrapped.fork(1, 300))
        for _ in range(10):
            ahead.step(np.random.default_rng(0).integers(0, 5, 300))
    assert np.array_equal(world_bytes(envs.unwrapped.get_state()), world_bytes(twin.unwrapped.get_state()))


# --- roads, people, rules ----------------------------------------------------------------------------------------
@report("navix #82", "agents go through walls")
def solid_obstacles(folder: Path) -> None:
    """Random drivers, 200 ticks of 256 worlds: who is in an obstacle's cell has come to an end in this step."""
    envs = gym.make_vec(OBSTACLES, num_envs=256, autoreset_mode="Disabled")
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(200):
        terminations, truncations = envs.step(rng.integers(0, 5, 256))[2:4]
        state = envs.unwrapped.get_state()
        cells = state["world"]["vehicles"]["cell"][:, 0]
        kinds = state["map"]["ground"][np.arange(256), cells] >> 4 & 7
        assert not (kinds == OBSTACLE)[~(terminations | truncations)].any()
        if (terminations | truncations).any():
            envs.reset(options={"reset_mask": terminations | truncations})


@report("Waymax #13, #31, #35, #59", "scenes without a route, or without the car that is to be driven")
def every_level_has_a_route(folder: Path) -> None:
    """1,000 levels of every generated id, hard: one ego each, and its goal can be reached."""
    for env_id in GENERATED:
        envs = gym.make_vec(env_id, num_envs=100 if env_id == CITY else 1000, difficulty="hard")
        envs.reset(seed=1)
        worlds = envs.unwrapped.get_state()["world"]
        assert (worlds["num_egos"] == 1).all()
        assert (worlds["egos"]["remaining"][:, 0] < UNREACHABLE).all()


@report("HighwayEnv #506, #545; PufferDrive #4, #211; MetaDrive #128", "no signals, or nobody minds them")
def red_lights(folder: Path) -> None:
    """Who never brakes runs red lights and pays for it; the rule-based driver, on the same 200 levels, never does."""
    assert sum(told["red_light"] for told in episodes(INTERSECTION, FASTER)) > 20
    assert not any(told["red_light"] for told in episodes(INTERSECTION))


@report("HighwayEnv #53", "no pedestrians")
def pedestrians(folder: Path) -> None:
    """Who never brakes hits people, or makes them wait; the rule-based driver, on the same 200 levels, hits nobody."""
    told = episodes(CROSSWALK, FASTER)
    assert sum(each["pedestrian_hit"] or each["failed_to_yield"] for each in told) > 20
    assert not any(each["pedestrian_hit"] for each in episodes(CROSSWALK))


@report("HighwayEnv #436, #462", "the car crashes nearly always, and nobody knows what is good")
def rules_arrive(folder: Path) -> None:
    """The rule-based driver arrives in 150 of 200 episodes and more: Highway, Intersection, Merge, FourWayStop."""
    for env_id in (HIGHWAY, INTERSECTION, "drivesim/Merge-v1", FOUR_WAY_STOP):
        assert sum(told["success"] for told in episodes(env_id)) > 150, env_id


@report("HighwayEnv #349, #605", "one cannot see who has collided")
def blame(folder: Path) -> None:
    """At more than 20 ends by collision the info says so, and whether the ego was at fault, as at some it was."""
    told = [each for each in episodes(INTERSECTION, FASTER) if each["collision"]]
    assert len(told) > 20
    assert any(each["at_fault"] for each in told)


@report("Navix, `rewards.py`", "a cost is added where it should be taken away")
def signs_of_rewards(folder: Path) -> None:
    """Every reward, 60 episodes of one who never brakes: a collision adds nothing, an arrival takes nothing away."""
    for reward in REWARDS:
        env = gym.make(HIGHWAY, reward=reward)
        num_collisions = 0
        for seed in range(60):
            env.reset(seed=seed)
            ended = False
            while not ended:
                _, _, terminated, truncated, info = env.step(FASTER)
                ended = terminated or truncated
            if info["collision"]:
                num_collisions += 1
                assert info["reward_terms"]["collision"] <= 0.0, reward
            assert info["reward_terms"]["arrived"] >= 0.0, reward
        assert num_collisions > 10


@report("MetaDrive #118, #319, #333", "several agents: who is gone goes on, or counts twice")
def several_egos(folder: Path) -> None:
    """Random drivers, four ids, 60 steps: who has ended leaves `agents`, and is never heard of again."""
    for env_id in multi.IDS:
        env = drivesim.parallel_env(env_id, num_agents=3)
        env.reset(seed=4)
        rng, gone = np.random.default_rng(4), set()
        for _ in range(60):
            obs, rewards, terminations, truncations, infos = env.step(
                {name: int(rng.integers(0, 4)) for name in env.agents}
            )
            assert not gone & {*obs, *rewards, *terminations, *truncations, *infos}
            gone |= {name for name in obs if terminations[name] or truncations[name]}
            assert not gone & {*env.agents}
            if not env.agents:
                break


def episodes(env_id: str, action: int | None = None) -> list[dict[str, object]]:
    """What the infos say at the end of 200 episodes, driven by rules or with one action."""
    driver = make_scripted(env_id)
    observation = driver.observation if action is None else "features"
    envs = gym.make_vec(env_id, num_envs=200, observation=observation, autoreset_mode="SameStep")
    obs, _ = envs.reset(seed=0)
    told: dict[int, dict[str, object]] = {}
    while len(told) < 200:
        obs, _, terminations, truncations, infos = envs.step(driver(obs) if action is None else np.full(200, action))
        for n in np.flatnonzero(terminations | truncations).tolist():
            told.setdefault(n, {name: values[n] for name, values in infos["final_info"].items()})
    return list(told.values())


# --- speed, start, pictures --------------------------------------------------------------------------------------
@report(
    "HighwayEnv #36, #121, #223, #246, #619; MetaDrive #159, #262; flatland #206",
    "a step takes a tenth of a second, or a third",
)
def steps_are_quick(folder: Path) -> None:
    """5,000 steps of the single `Highway`, resets included: less than a millisecond of the CPU each."""
    env = gym.make(HIGHWAY)
    env.reset(seed=0)
    started = time.process_time()
    for _ in range(5000):
        _, _, terminated, truncated, _ = env.step(1)
        if terminated or truncated:
            env.reset()
    assert time.process_time() - started < 5.0


@report("jumanji #297", "beginning anew makes steps many times slower")
def resets_are_quick(folder: Path) -> None:
    """A batch whose episodes end after 4 steps takes less than ten times as long as one whose episodes go on."""
    seconds = []
    for limit in (4, 50):
        envs = gym.make_vec(LANE_KEEP, num_envs=512, max_episode_steps=limit)
        envs.reset(seed=0)
        started = time.process_time()
        for _ in range(100):
            envs.step(np.ones(512, np.int64))
        seconds.append(time.process_time() - started)
    assert seconds[0] < 10 * seconds[1]


@report(
    "pymatting #84; numba #3588, #9350; Craftax, README; GPUDrive #243, #244, #474, #513; madrona #39, #50",
    "the first use compiles, which takes half a minute or fails",
)
def nothing_is_compiled(folder: Path) -> None:
    """With prebuilt kernels, in a fresh process with an empty cache: an episode, a picture, and numba is not loaded."""
    fresh(
        "import sys, gymnasium as gym, drivesim\n"
        f"env = gym.make({HIGHWAY!r}, render_mode='rgb_array'); env.reset(seed=0)\n"
        "while not any(env.step(1)[2:4]): env.render()\n"
        "assert not {'numba', 'torch', 'pygame'} & {*sys.modules}",
        DRIVESIM_CACHE_DIR=str(folder / "cache"),
    )


@report("Gymnasium #1322, #1377, #1378, #1444, #1527", "memory grows with every picture")
def pictures_are_gone(folder: Path) -> None:
    """2,000 pictures of 20 environments, after as many: less than 8 MiB of memory are left of them."""

    def pages() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])

    def draw() -> None:
        for seed in range(20):
            env = gym.make(HIGHWAY, render_mode="rgb_array", render_size=128)
            env.reset(seed=seed)
            for _ in range(100):
                if any(env.step(1)[2:4]):
                    env.reset()
                env.render()
            env.close()

    draw()
    before = pages()
    draw()
    assert (pages() - before) * os.sysconf("SC_PAGE_SIZE") < 8 * 2**20


@report("HighwayEnv PR #24, FAQ", "videos are too fast, for nobody says how many pictures a second has")
def pictures_per_second(folder: Path) -> None:
    """`render_fps` is in the metadata of every id, single and batch, and all pictures of an id have one size."""
    for env_id in IDS:
        env = gym.make(env_id, render_mode="rgb_array", render_size=96)
        assert env.metadata["render_fps"] == gym.make_vec(env_id, num_envs=1).metadata["render_fps"] > 0
        env.reset(seed=0)
        shapes = set()
        for _ in range(5):
            shapes.add(env.render().shape)
            env.reset()
        assert len(shapes) == 1


@report("gym #1643, #2157, #2524", "steps draw pictures that nobody has asked for")
def pictures_on_demand(folder: Path) -> None:
    """3,000 steps with a render mode and without one: less than three times the time of the CPU."""
    seconds = []
    for mode in (None, "rgb_array"):
        env = gym.make(LANE_KEEP, render_mode=mode)
        env.reset(seed=0)
        started = time.process_time()
        for _ in range(3000):
            if any(env.step(1)[2:4]):
                env.reset()
        seconds.append(time.process_time() - started)
    assert seconds[1] < 3 * seconds[0]


@report("Gymnasium #1586", "a window takes hold of the sound")
def windows_are_silent(folder: Path) -> None:
    """A window without a screen, in a process of its own: pygame's display works, its mixer was never begun."""
    fresh(
        "import gymnasium as gym, drivesim\n"
        f"env = gym.make({LANE_KEEP!r}, render_mode='human'); env.reset(seed=0); env.step(1)\n"
        "import pygame; assert pygame.display.get_init() and not pygame.mixer.get_init()",
        SDL_VIDEODRIVER="dummy",
    )


@report("HighwayEnv #117", "all others drive alike")
def others_differ(folder: Path) -> None:
    """In every one of 100 levels the traffic has several top speeds; who dawdles is slower by a tenth."""
    speeds = []
    for dawdle in (0.0, 0.5):
        envs = gym.make_vec(HIGHWAY, num_envs=100, dawdle=dawdle)
        envs.reset(seed=0)
        traffic = envs.unwrapped.get_state()["world"]["vehicles"][:, 1:]
        assert all(len(set(world["top_speed"].tolist())) > 1 for world in traffic)
        for _ in range(10):
            envs.step(np.full(100, SLOWER))
        speeds.append(envs.unwrapped.get_state()["world"]["vehicles"]["speed"][:, 1:].mean())
    assert speeds[1] < 0.9 * speeds[0]


@report("Minari, `secrets.randbits(64)`", "large seeds are refused, or cut to 32 bits")
def large_seeds(folder: Path) -> None:
    """Seeds 7, 7 + 2^32, 7 + 2^63, 7 + 2^64 and 7 + 2^200: five different episodes, the same each time."""
    env = gym.make(HIGHWAY, observation="full_grid")
    seeds = [7, 7 + 2**32, 7 + 2**63, 7 + 2**64, 7 + 2**200]
    once, again = ([env.reset(seed=seed)[0].tobytes() for seed in seeds] for _ in range(2))
    assert once == again
    assert len(set(once)) == 5


@report("numba, `cache=True`", "after an edit of a function that a kernel calls, the old machine code goes on")
def edits_are_noticed(folder: Path) -> None:
    """A function in another file of one's own is edited: a kernel that calls it answers anew, in the next process."""
    workshop = Workshop(folder)
    kernel = "from drivesim.core.jit import kernel\n"
    (folder / "outer.py").write_text(
        f"{kernel}from inner import inner\n@kernel\ndef outer(n):\n    return inner(n) + 1\n"
    )
    for factor in (2, 3, 2):
        (folder / "inner.py").write_text(f"{kernel}@kernel\ndef inner(n):\n    return {factor} * n\n")
        assert workshop.run("from outer import outer\nprint(outer(10))\n").stdout == [str(10 * factor + 1)]


@report("jumanji, README", "the documentation names ids that there are not")
def documented_ids(folder: Path) -> None:
    """Every `drivesim/…-v1` in README and docs is registered, and every registered id is named there."""
    root = Path(__file__).parents[2]
    texts = [
        path.read_text(encoding="utf-8")
        for path in (root / "README.md", *(root / "docs").rglob("*.md"))
        if path.name != "extending.md"
    ]  # which makes one up
    named = {name for text in texts for name in re.findall(r"drivesim/[A-Z][A-Za-z]*-v[0-9]+", text)}
    assert {*IDS} <= named
    assert named <= {*gym.registry}, named - {*gym.registry}
