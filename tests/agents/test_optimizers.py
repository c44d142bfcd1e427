"""Optimizers: their first steps in closed form, and a state that continues them exactly."""

from __future__ import annotations

from math import sqrt
from typing import get_args

import pytest
import torch
from torch import Tensor

from agents.optimizers import OptimizerName, load_optimizer_tensors, make_optimizer, optimizer_tensors

NAMES = get_args(OptimizerName)
RATE = 0.1
EPSILON = 1e-5


def steps(name: OptimizerName, gradients: list[float], start: float = 1.0) -> list[float]:
    """Where one parameter is after each gradient."""
    parameter = torch.tensor([start])
    optimizer = make_optimizer(name, [parameter], RATE)
    path = []
    for gradient in gradients:
        parameter.grad = torch.tensor([gradient])
        optimizer.step()
        path.append(parameter.item())
    return path


# Gradients 3 and -1 from 1. Adam's averages begin at 0 and are divided by the share of the weights that is not on it:
#   m = 0.1 * 3 = 0.3,           over 1 - 0.9    = 0.1:   3
#   v = 0.001 * 9 = 0.009,       over 1 - 0.999  = 0.001: 9
#   m = 0.9 * 0.3 - 0.1 = 0.17,  over 1 - 0.9**2 = 0.19:  0.894737
#   v = 0.999 * 0.009 + 0.001 = 0.009991, over 1 - 0.999**2 = 0.001999: 4.997999
ADAM_STEPS = (3 / (3 + EPSILON), (0.17 / 0.19) / (sqrt(0.009991 / 0.001999) + EPSILON))


def test_adam_divides_the_mean_gradient_by_its_root_mean_square() -> None:
    first = 1 - RATE * ADAM_STEPS[0]
    assert steps("adam", [3.0, -1.0]) == pytest.approx([first, first - RATE * ADAM_STEPS[1]], abs=1e-6)


def test_adamw_shrinks_the_weight_beside_adams_step() -> None:
    # By a hundredth of the step size, before the step: 1 * (1 - 0.1 * 0.01) = 0.999.
    first = 0.999 - RATE * ADAM_STEPS[0]
    assert steps("adamw", [3.0, -1.0]) == pytest.approx([first, first * 0.999 - RATE * ADAM_STEPS[1]], abs=1e-6)


def test_rmsprop_divides_the_gradient_by_its_root_mean_square() -> None:
    # v = 0.01 * 9 = 0.09, root 0.3: a step of 10; then v = 0.99 * 0.09 + 0.01 * 1 = 0.0991, not corrected.
    first = 1 - RATE * 3 / (0.3 + EPSILON)
    second = first + RATE * 1 / (sqrt(0.0991) + EPSILON)
    assert steps("rmsprop", [3.0, -1.0]) == pytest.approx([first, second], abs=1e-6)


def test_adagrad_divides_the_gradient_by_the_root_of_the_sum_of_squares() -> None:
    # Sums 9 and 10.
    assert steps("adagrad", [3.0, -1.0]) == pytest.approx([1 - RATE, 1 - RATE + RATE / sqrt(10)], abs=1e-6)


def test_sgd_keeps_nine_tenths_of_its_momentum() -> None:
    # 1 - 0.1 * 3 = 0.7; then 0.9 * 3 - 1 = 1.7, and 0.7 - 0.17 = 0.53.
    assert steps("sgd", [3.0, -1.0]) == pytest.approx([0.7, 0.53], abs=1e-6)


def test_a_gradient_as_small_as_epsilon_moves_adam_half_as_far() -> None:
    # From 0, where float32 resolves it: 1e-5 / (1e-5 + 1e-5) = 1/2. RMSprop's root is a tenth of the gradient:
    # 1e-4 / (1e-5 + 1e-5) = 5.
    assert steps("adam", [1e-5], 0.0) == pytest.approx([-RATE / 2], rel=1e-4)
    assert steps("adamw", [1e-5], 0.0) == pytest.approx([-RATE / 2], rel=1e-4)
    assert steps("rmsprop", [1e-4], 0.0) == pytest.approx([-RATE * 5], rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_optimizer_goes_on_exactly_as_the_old_one(name: OptimizerName) -> None:
    generator = torch.Generator().manual_seed(0)
    gradients = [[torch.randn(shape, generator=generator) for shape in ((3, 2), (4,))] for _ in range(6)]

    def go_on(optimizer: torch.optim.Optimizer, parameters: list[Tensor], part: list[list[Tensor]]) -> None:
        for step in part:
            for parameter, gradient in zip(parameters, step, strict=True):
                parameter.grad = gradient
            optimizer.step()

    parameters = [torch.ones(3, 2), torch.ones(4)]
    optimizer = make_optimizer(name, parameters, RATE)
    go_on(optimizer, parameters, gradients[:3])
    saved = {key: tensor.clone() for key, tensor in optimizer_tensors(optimizer).items()}
    copies = [parameter.clone() for parameter in parameters]
    go_on(optimizer, parameters, gradients[3:])

    restored = make_optimizer(name, copies, RATE)
    load_optimizer_tensors(restored, saved)
    go_on(restored, copies, gradients[3:])
    for parameter, copy in zip(parameters, copies, strict=True):
        assert torch.equal(parameter, copy)

    forgetful = [parameter.clone() for parameter in parameters]  # without its state it goes elsewhere
    go_on(make_optimizer(name, forgetful, RATE), forgetful, gradients[3:])
    go_on(optimizer, parameters, gradients[3:])
    assert not torch.equal(parameters[0], forgetful[0])


@pytest.mark.parametrize("name", NAMES)
def test_the_state_is_named_after_the_parameters_numbers(name: OptimizerName) -> None:
    parameters = [torch.ones(2), torch.ones(3)]
    optimizer = make_optimizer(name, parameters, RATE)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    tensors = optimizer_tensors(optimizer)
    assert {key.split(".")[0] for key in tensors} == {"0", "1"}
    assert {tensor.shape for key, tensor in tensors.items() if key.startswith("1.")} >= {torch.Size([3])}


def test_an_unknown_optimizer_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"optimizer must be one of \['adam', .*'sgd'\], got 'lion'"):
        make_optimizer("lion", [torch.ones(1)], RATE)  # type: ignore[arg-type]
