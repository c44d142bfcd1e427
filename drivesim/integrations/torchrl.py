"""TorchRL: one environment with a batch of envs, whose tensors are those of the vector environment."""

from __future__ import annotations

from typing import Any, cast

import gymnasium as gym
import torch
from gymnasium.vector import AutoresetMode
from tensordict import TensorDictBase
from torchrl.data import Binary, Composite
from torchrl.envs import EnvBase
from torchrl.envs.gym_like import BaseInfoDictReader
from torchrl.envs.libs.gym import GymWrapper

import drivesim  # noqa: F401 (registers the environments)
from drivesim.checks import boolean, checked_mode
from drivesim.vector_env import DriveVectorEnv

__all__ = ["ActionMasks", "make_env"]


class ActionMasks(BaseInfoDictReader):  # type: ignore[misc]  # TorchRL has no types
    """Writes `action_mask`, bool (N, num_actions), after every reset and step: what does more than IDLE would.

    `torchrl.envs.transforms.ActionMask` and `MaskedCategorical` take it as it is.
    """

    def __init__(self, envs: DriveVectorEnv) -> None:
        self._envs = envs
        num_actions = int(envs.single_action_space.n)  # type: ignore[attr-defined]
        shape = (envs.num_envs, num_actions)
        self._spec = Composite(action_mask=Binary(num_actions, shape=shape, dtype=torch.bool), shape=shape[:1])

    @property
    def info_spec(self) -> Composite:
        """What is written."""
        return self._spec

    def __call__(self, info_dict: dict[str, Any], tensordict: TensorDictBase) -> TensorDictBase:
        """Adds the masks of the states that `tensordict` (N,) observes."""
        return tensordict.set("action_mask", torch.from_numpy(self._envs.action_masks()))


def make_env(
    env_id: str,
    num_envs: int,
    *,
    autoreset_mode: AutoresetMode | str = AutoresetMode.DISABLED,
    action_mask: bool = False,
    **options: Any,
) -> EnvBase:
    """A TorchRL environment with batch size (N,) over one native vector environment.

    Args:
        env_id: such as `"drivesim/Highway-v1"`.
        num_envs: envs, N.
        autoreset_mode: `DISABLED`, in which TorchRL resets the envs that have ended, or `SAME_STEP`. The latter is
            slower under TorchRL, and where all envs end in one step, TorchRL skips an episode of each.
        action_mask: whether there is an `action_mask`, bool (N, num_actions), beside each observation; not under
            `SAME_STEP`, which does not say what the mask was before an autoreset.
        **options: those of `drivesim.vector_env.DriveVectorEnv`, but for `copy`: a tensor shares its memory with
            the array it is made of, which must therefore never be overwritten.

    Returns:
        An environment with `observation` (N, *obs_shape) of the space's dtype, `action` int64 (N,), `reward` float32
        (N, 1) and `terminated`, `truncated` and `done`, bool (N, 1).

    Raises:
        TypeError, ValueError: for an option that is unknown, of a wrong type or out of range.
    """
    mode = checked_mode(autoreset_mode)
    if mode is AutoresetMode.NEXT_STEP:
        raise ValueError(f"autoreset_mode must be DISABLED or SAME_STEP under TorchRL, got {mode}")
    if boolean("action_mask", action_mask) and mode is not AutoresetMode.DISABLED:
        raise ValueError(f"action_mask=True needs autoreset_mode DISABLED, got {mode}")
    if "copy" in options:
        raise ValueError(f"copy must be left out: tensors share the arrays' memory, got {options['copy']!r}")
    made = gym.make_vec(env_id, num_envs, "vector_entry_point", autoreset_mode=mode, **options)
    envs = cast(DriveVectorEnv, made.unwrapped)
    env: EnvBase = GymWrapper(envs, categorical_action_encoding=True)
    if action_mask:
        env.set_info_dict_reader(ActionMasks(envs))
    return env
