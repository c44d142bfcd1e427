"""Losses and targets of return distributions and soft values: worked numbers, and definitions by loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.distributions import (
    categorical_divergence,
    munchausen_bonus,
    project_categorical,
    quantile_huber_loss,
    soft_average,
)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_quantile_loss_by_hand() -> None:
    # K = 2, shares 1/4 and 3/4; the target is 1. u = 1 - 0 = 1: 1/4 * 1/2. u = 1 - 4 = -3: |3/4 - 1| * (3 - 1/2).
    loss = quantile_huber_loss(torch.tensor([[0.0, 4.0]]), torch.tensor([[1.0]]))
    assert loss.tolist() == [0.25 * 0.5 + 0.25 * 2.5]


def test_quantile_loss_equals_its_definition() -> None:
    quantiles, targets = 2 * randn(5, 4), 2 * randn(5, 3, seed=1)
    expected = np.zeros(5)
    for b in range(5):
        for i in range(4):
            for j in range(3):
                u = float(targets[b, j] - quantiles[b, i])
                huber = 0.5 * u * u if abs(u) <= 1 else abs(u) - 0.5
                expected[b] += abs((2 * i + 1) / 8 - (u < 0)) * huber / 3
    np.testing.assert_allclose(quantile_huber_loss(quantiles, targets), expected, rtol=1e-5)


def test_quantile_loss_is_least_at_the_quantiles() -> None:
    """Of 0, 100, ..., 900 the shares 1/8, 3/8, 5/8, 7/8 are 100, 300, 600, 800 (ten points, rounded up)."""
    targets = (100.0 * torch.arange(10)).expand(1, 10)
    quantiles = torch.full((1, 4), 450.0, requires_grad=True)
    optimizer = torch.optim.Adam([quantiles], lr=20.0)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 20.0 * (1.0 - step / 300)
        optimizer.zero_grad()
        quantile_huber_loss(quantiles, targets).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(quantiles.detach()[0], [100.0, 300.0, 600.0, 800.0], atol=1.0)


def test_projection_by_hand() -> None:
    # 0.25 lies a quarter of the way from 0 to 1: half of 3/4 and half of 1/4. 1 is an atom. 5 is cut to 2, -1 to 0.
    support = torch.tensor([0.0, 1.0, 2.0])
    atoms = torch.tensor([[0.25, 1.0, 5.0], [-1.0, 2.0, 1.5]])
    probabilities = torch.tensor([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]])
    expected = torch.tensor([[0.375, 0.375, 0.25], [0.5, 0.125, 0.375]])
    torch.testing.assert_close(project_categorical(atoms, probabilities, support), expected)


def test_projection_equals_its_definition_and_keeps_the_mean() -> None:
    support = torch.linspace(-2.0, 3.0, 11)
    probabilities = torch.softmax(randn(6, 7), dim=1)
    atoms = 2.0 * randn(6, 7, seed=1)
    expected = np.zeros((6, 11))
    for b in range(6):
        for i in range(11):
            for j in range(7):
                distance = abs(min(max(float(atoms[b, j]), -2.0), 3.0) - float(support[i])) / 0.5
                expected[b, i] += max(1.0 - distance, 0.0) * float(probabilities[b, j])
    projected = project_categorical(atoms, probabilities, support)
    np.testing.assert_allclose(projected, expected, atol=1e-5)
    inside = atoms.clamp(-2.0, 3.0)
    torch.testing.assert_close(projected @ support, (probabilities * inside).sum(dim=1), atol=1e-5, rtol=0.0)


def test_the_support_projects_to_itself() -> None:
    """Also where rounding puts an atom beside its place."""
    support = torch.linspace(-0.7, 1.3, 51)
    probabilities = torch.softmax(randn(4, 51), dim=1)
    projected = project_categorical(support.expand(4, 51), probabilities, support)
    torch.testing.assert_close(projected, probabilities, atol=1e-5, rtol=0.0)


def test_divergence_is_the_entropy_short_of_the_cross_entropy() -> None:
    logits, targets = randn(3, 5), torch.softmax(randn(3, 5, seed=1), dim=1)
    targets[0] = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])  # 0 * log 0 = 0
    cross_entropy = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    entropy = torch.distributions.Categorical(targets).entropy()
    torch.testing.assert_close(categorical_divergence(logits, targets), cross_entropy - entropy, atol=1e-6, rtol=0.0)
    same = categorical_divergence(targets[1:].log(), targets[1:])
    torch.testing.assert_close(same, torch.zeros(2), atol=1e-6, rtol=0.0)


def test_soft_average_by_hand() -> None:
    # q = tau * (0, ln 3): the policy is (1/4, 3/4), its entropy ln 4 - 3/4 ln 3.
    tau = 0.03
    numbers = torch.tensor([[[4.0, 8.0], [0.0, 4.0]]])
    averages, entropy = soft_average(numbers, torch.tensor([[0.0, tau * math.log(3.0)]]), tau)
    torch.testing.assert_close(averages, torch.tensor([[1.0, 5.0]]))
    assert entropy.item() == pytest.approx(math.log(4.0) - 0.75 * math.log(3.0))


def test_munchausen_bonus_by_hand() -> None:
    # tau * log pi: -0.1 and -0.2, and -3 (cut off at -1) then beyond the end; alpha = 1/2, gamma = 1/2.
    # First window: 1/2 * -0.1 + 1/2 * (1/2 * -0.2 + 0.2) = 0. Second: 1/2 * -1. Third: only the second step is cut
    # off, and only in the term: 1/2 * -0.1 + 1/2 * (1/2 * -1 + 3) = 1.2.
    log_policies = torch.tensor([[-1.0, -30.0, -1.0], [-2.0, -7.0, -30.0]])
    factors = torch.tensor([[1.0, 1.0, 1.0], [0.5, 0.0, 0.5]])
    bonus = munchausen_bonus(log_policies, factors, alpha=0.5, tau=0.1, clip=-1.0)
    torch.testing.assert_close(bonus, torch.tensor([0.0, -0.5, 1.2]))


def test_munchausen_bonus_ignores_what_follows_the_end() -> None:
    log_policies = torch.tensor([[-1.0], [-math.inf]])
    bonus = munchausen_bonus(log_policies, torch.tensor([[1.0], [0.0]]), alpha=0.5, tau=0.1, clip=-1.0)
    torch.testing.assert_close(bonus, torch.tensor([-0.05]))
