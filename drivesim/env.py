"""The single environment: the vector environment's engine with one world."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from drivesim.checks import RENDER_MODES, boolean, checked_options, checked_render_mode, checked_seed, whole
from drivesim.config import EnvConfig, RewardWeights
from drivesim.core.batch import DISABLED
from drivesim.core.rng import TEST_SPLIT
from drivesim.core.world import RUNNING
from drivesim.engine import Array, Engine
from drivesim.infos import info_of
from drivesim.registry import entry_of
from drivesim.render.view import DEFAULT_SIZE
from drivesim.rendering import RENDER_FPS, Renderer

MAX_LEVEL_SEED = 2 * TEST_SPLIT - 1


class DriveEnv(gym.Env[Array, int]):
    """One ego in one world, through Gymnasium.

    Args:
        scenario: name in the registry; `gym.make` passes it.
        render_mode: None, `"human"` (a window that shows every reset and step), `"rgb_array"` (uint8 (H, W, 3)) or
            `"ansi"` (str).
        render_size: pixels along the longer side of a picture, at most.
        observation: `"grid"`, `"features"`, `"full_grid"`, `"entities"` or `"rgb"`; None = the scenario's own.
        window: how far `"grid"` and `"rgb"` show the road, cells (ahead, behind, beside) of 0 … 64 each; None = the
            scenario's own window. On a ring less than half of it to each side.
        all_planes: whether `"grid"` has every plane, also those of which the scenario has nothing to tell.
        num_entities: rows of `"entities"`, 2 … 32; None = one for everybody who may be there, at most 32.
        all_actions: whether actions are numbered 0 … 4, as in `drivesim.Action`, where the scenario has no IDLE too:
            there it holds the speed, and is masked.
        difficulty: `"easy"`, `"medium"` or `"hard"`.
        split: `"train"` or `"test"`: disjoint streams of levels.
        num_levels: only the first so many levels of the split, None = unlimited.
        reward: `"route"`, `"shaped"`, `"sparse"` or `"cost"`.
        reward_weights: a `RewardWeights`, or a dict of those that differ from the default.
        traffic: `"krauss"`, `"nasch"` or `"unaware"`; None = the scenario's own driver model.
        dawdle: probability with which traffic dawdles; None = the scenario's own.
        levels: only where levels are given: the text of a level, a path, a pattern of paths, or a list of these; see
            `drivesim.scenarios.custom.Custom`.
        **level: level options of the scenario, replacing the difficulty's.

    `reset(seed=s)` starts episode 0 of s, every further reset its next episode;
    `reset(options={"level_seed": n})` plays a given level. `info` always carries the keys of
    `core.episode.EPISODE` so far (`timeout` means not terminated, since the time limit is a wrapper's), `success` also
    by the name `is_success`, this tick's `reward_terms`, the `action_mask` (bool (num_actions,)) and under
    `reward="cost"` this tick's `cost`.

    Raises:
        TypeError, ValueError: for an option that is unknown, of a wrong type or out of range.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": list(RENDER_MODES), "render_fps": RENDER_FPS}  # type: ignore[misc]

    def __init__(
        self,
        scenario: str,
        *,
        render_mode: str | None = None,
        render_size: int = DEFAULT_SIZE,
        observation: str | None = None,
        window: tuple[int, int, int] | None = None,
        all_planes: bool = False,
        num_entities: int | None = None,
        all_actions: bool = False,
        difficulty: str = "medium",
        split: str = "train",
        num_levels: int | None = None,
        reward: str = "route",
        reward_weights: RewardWeights | dict[str, float] | None = None,
        traffic: str | None = None,
        dawdle: float | None = None,
        levels: Any = None,
        **level: int,
    ) -> None:
        self.render_mode = checked_render_mode(render_mode)
        self.config = EnvConfig(
            scenario=scenario,
            observation=observation,
            window=window,
            all_planes=all_planes,
            num_entities=num_entities,
            all_actions=all_actions,
            difficulty=difficulty,
            split=split,
            num_levels=num_levels,
            reward=reward,
            reward_weights=reward_weights,  # type: ignore[arg-type]
            traffic=traffic,
            dawdle=dawdle,
            level=level,
            levels=levels,
        )
        self._engine = Engine(self.config, num_worlds=1, autoreset=DISABLED, max_steps=self.config.level_max_steps)
        self._renderer = Renderer(self._engine, self.render_mode, render_size, entry_of(scenario).id)
        self._is_human = self._renderer.is_human
        self.observation_space: spaces.Box = self._engine.observation_space
        self.action_space: spaces.Discrete = spaces.Discrete(self._engine.num_actions)  # type: ignore[assignment]
        self._num_actions = self._engine.num_actions
        self._obs = self._engine.empty_obs()
        self._actions = np.zeros(1, np.int64)
        self._rewards = np.zeros(1, np.float64)
        self._terminations = np.zeros(1, np.bool_)
        self._truncations = np.zeros(1, np.bool_)
        self._every_world = np.ones(1, np.bool_)
        self._level_seeds = np.zeros(1, np.int64)
        self._needs_reset = True
        self._is_closed = False
        self._has_cost = self.config.reward == "cost"
        self._spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """The specification that `gym.make` made this from, in terms of JSON."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        if spec is not None:
            spec.kwargs = self.config.spec_kwargs(spec.kwargs)
        self._spec = spec

    @property
    def action_names(self) -> tuple[str, ...]:
        """The actions in their order."""
        return self._engine.actions

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Begin an episode: episode 0 of `seed`, or without one the next.

        Args:
            seed: an integer of at least 0, of any size.
            options: `{"level_seed": n}` plays level n, 0 … 2**63 - 1, of either split. `level_seeds` (bool), as in the
                vector environment, changes nothing: `info` always has `level_seed`.

        Raises:
            TypeError, ValueError: for a bad seed or option; nothing has changed.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        self._check_open()
        seed = checked_seed(seed)
        options = checked_options(options, ("level_seed", "level_seeds"))
        boolean("level_seeds", options.get("level_seeds", False))
        level_seed = -1
        if "level_seed" in options:
            level_seed = whole("level_seed", options["level_seed"], 0, MAX_LEVEL_SEED)
        super().reset(seed=seed)
        self._engine.key_worlds(self._every_world, [seed])
        self._needs_reset = True  # until a level has been certified
        self._level_seeds[0] = level_seed
        self._engine.reset(self._every_world, self._level_seeds, self._obs)
        self._needs_reset = False
        self._engine.describe()
        self._engine.terms[:] = 0.0
        self._engine.costs[:] = 0.0
        if self._is_human:
            self._renderer.show()
        return self._obs[0].copy(), self._info()

    def step(self, action: int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Advance the world by one tick.

        Args:
            action: an integer of any kind in [0, num_actions).

        Raises:
            TypeError, ValueError: for anything else; nothing has moved.
            gymnasium.error.ResetNeeded: before the first reset and after a termination.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        if type(action) is not int or not 0 <= action < self._num_actions:
            action = whole("action", action, 0, self._num_actions - 1)
        if self._needs_reset:
            self._check_open()
            if not self._is_running():
                raise gym.error.ResetNeeded("call reset() before step(): there is no episode or it has terminated")
        self._needs_reset = True  # if an interrupt comes before this is known, the next step asks the world
        self._actions[0] = action
        if self._engine.has_arrays:
            self._engine.advance_again()
        else:
            ends = self._terminations, self._truncations
            self._engine.step(self._actions, self._obs, self._rewards, *ends, is_detailed=True)
        terminated = self._terminations.item()
        self._needs_reset = terminated
        if self._is_human:
            self._renderer.show(action, self._rewards.item())
        return self._obs[0].copy(), self._rewards.item(), terminated, self._truncations.item(), self._info()

    def _is_running(self) -> bool:
        """Whether there is a running episode, by the world itself; one that was keyed anew has none."""
        world = self._engine.worlds[0]
        return bool(world["stage"] == RUNNING and world["episode"] >= 0)

    def _info(self) -> dict[str, Any]:
        """The `info` of a reset or step."""
        info = info_of(self._engine, 0, self._has_cost)
        info["action_mask"] = self._engine.masks[0].copy()
        return info

    def render(self) -> Any:
        """The world as a picture (`"rgb_array"`) or text (`"ansi"`); None under `"human"`, whose window is up to date.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        self._check_open()
        return self._renderer.render(0)

    def get_state(self) -> Array:
        """A copy of the world, (1,) records, with all that a continuation needs."""
        return self._engine.get_state()

    def set_state(self, state: Array, mask: Array | None = None) -> None:
        """Restore a state from `get_state` of an environment with the same options, exactly.

        The time limit of `gym.make` is a wrapper's and keeps its own count.

        Raises:
            TypeError, ValueError: if it is no such state; nothing has changed.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        self._check_open()
        self._engine.set_state(state, mask)
        self._needs_reset = not self._is_running()

    def level_text(self) -> str:
        """The running episode's level as it was at tick 0, as a text that `drivesim/Custom-v1` plays.

        With the same seed and the same actions it goes the same way there, to the last bit.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
            ValueError: if the scenario's time limit is above 1,000 steps, `Custom`'s.
        """
        self._check_started("level_text")
        return self._engine.level_text(0)

    def observe(self) -> Array:
        """The observation of the state as it is, without a step.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        self._check_started("observe")
        self._engine.observe(self._obs)
        return self._obs[0].copy()  # type: ignore[no-any-return]

    def action_masks(self) -> Array:
        """Bool (num_actions,): which actions do something that IDLE does not; IDLE itself is true.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        self._check_started("action_masks")
        self._engine.describe()
        mask: Array = self._engine.masks[0].copy()
        return mask

    def get_keys_to_action(self) -> dict[str | tuple[int, ...], int]:
        """What `gymnasium.utils.play.play` needs to know: arrow keys and WASD, and `""` for no key at all.

        Whatever else is held down at once does what no key does: IDLE, and SLOWER where there is no IDLE.
        """
        from drivesim.keys import keys_to_action

        return keys_to_action(self.action_names)

    def close(self) -> None:
        """Free what the environment holds; may be called again."""
        self._renderer.close()
        self._engine.close()
        self._is_closed = True
        self._needs_reset = True

    def _check_open(self) -> None:
        if self._is_closed:
            raise gym.error.ClosedEnvironmentError("this environment was closed")

    def _check_started(self, method: str) -> None:
        self._check_open()
        if not self._engine.is_started:
            raise gym.error.ResetNeeded(f"call reset() before {method}()")
