"""The choice of an optimizer from torch, and its state as named tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from agents.checkpoint import fitting

__all__ = ["OptimizerName", "load_optimizer_tensors", "make_optimizer", "optimizer_tensors"]

OptimizerName: TypeAlias = Literal["adam", "adamw", "rmsprop", "adagrad", "sgd"]

_STATE_NAMES: dict[type[torch.optim.Optimizer], set[str]] = {
    torch.optim.Adam: {"step", "exp_avg", "exp_avg_sq"},
    torch.optim.AdamW: {"step", "exp_avg", "exp_avg_sq"},
    torch.optim.RMSprop: {"step", "square_avg"},
    torch.optim.Adagrad: {"step", "sum"},
    torch.optim.SGD: {"momentum_buffer"},
}
"""What each optimizer keeps of every parameter."""
_EPSILON = 1e-5  # of Adam, AdamW and RMSprop, after the PPO implementations; torch's 1e-8 lets early steps jump


def make_optimizer(name: OptimizerName, parameters: Iterable[Tensor], learning_rate: float) -> torch.optim.Optimizer:
    """Makes one of torch's optimizers, in its fused form where the processor has one.

    Args:
        name: "adam" (Kingma & Ba 2015), "adamw" (Loshchilov & Hutter 2019, weight decay 0.01), "rmsprop" (Hinton 2012),
            "adagrad" (Duchi et al. 2011) or "sgd" (with momentum 0.9).
        parameters: to be updated.
        learning_rate: step size.
    """
    if name == "adam":
        return torch.optim.Adam(parameters, lr=learning_rate, eps=_EPSILON, fused=True)
    if name == "adamw":
        return torch.optim.AdamW(parameters, lr=learning_rate, eps=_EPSILON, fused=True)
    if name == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=learning_rate, alpha=0.99, eps=_EPSILON, foreach=True)
    if name == "adagrad":
        return torch.optim.Adagrad(parameters, lr=learning_rate, fused=True)
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=learning_rate, momentum=0.9, fused=True)
    raise ValueError(f"optimizer must be one of {list(get_args(OptimizerName))}, got {name!r}")


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Returns the optimizer's state as "<parameter>.<name>" to tensor; what is no tensor is constant."""
    return {
        f"{index}.{name}": tensor
        for index, entry in optimizer.state_dict()["state"].items()
        for name, tensor in entry.items()
        if isinstance(tensor, Tensor)
    }


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Takes over what :func:`optimizer_tensors` returned.

    Raises:
        ValueError: it is of another optimizer, or of parameters of other shapes.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    names = _STATE_NAMES[type(optimizer)]
    for number, entry in state.items():
        if not 0 <= number < len(parameters) or entry.keys() != names:
            raise ValueError(
                f"parameter {number} has {sorted(entry)}, allowed are {len(parameters)} with {sorted(names)}"
            )
        for name, tensor in entry.items():  # fused updates do not look at the sizes
            fitting(f"{number}.{name}", tensor, torch.zeros(()) if name == "step" else parameters[number].detach())
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
