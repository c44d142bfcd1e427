"""Value learning beyond the mean: losses of return distributions, and soft targets. Pure functions on tensors.

Return distributions are given by K numbers per action: the values of K quantiles of equal share (Dabney et al. 2018),
or the probabilities of K fixed atoms (Bellemare et al. 2017). Inputs and outputs are float32; B is the batch size.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "categorical_divergence",
    "munchausen_bonus",
    "project_categorical",
    "quantile_huber_loss",
    "soft_average",
]


def quantile_huber_loss(quantiles: Tensor, targets: Tensor) -> Tensor:
    """Quantile regression with a Huber loss of threshold 1.

    Dabney et al., *Distributional Reinforcement Learning with Quantile Regression* (2018), equations 9 and 10: with
    u = targets[j] - quantiles[i] and tau_i = (2 i + 1) / 2K, the sum over i of the mean over j of
    |tau_i - [u < 0]| * Huber(u).

    Args:
        quantiles: (B, K), of rising share.
        targets: (B, J), samples or quantiles of the distribution to be met; without gradient.

    Returns:
        (B,) losses.
    """
    num_quantiles, num_targets = quantiles.shape[1], targets.shape[1]
    shares = (torch.arange(num_quantiles)[:, None] + 0.5) / num_quantiles  # (K, 1)
    quantiles = quantiles[:, :, None].expand(-1, -1, num_targets)  # (B, K, J), as the next two
    targets = targets[:, None].expand(-1, num_quantiles, -1)
    weights = torch.where(targets < quantiles, 1.0 - shares, shares)
    sizes = functional.huber_loss(quantiles, targets, reduction="none")
    return torch.sum((weights * sizes).mean(dim=2), dim=1)


@torch.no_grad()
def project_categorical(atoms: Tensor, probabilities: Tensor, support: Tensor) -> Tensor:
    """Moves probabilities from arbitrary atoms to those of an even support.

    Bellemare et al., *A Distributional Perspective on Reinforcement Learning* (2017), equation 7: what lies between
    two atoms of the support is split between them in proportion to nearness, what lies outside goes to the end. Inside
    the support the mean is kept.

    Args:
        atoms: (B, J).
        probabilities: (B, J).
        support: (K,), evenly spaced and rising, K >= 2.

    Returns:
        (B, K) probabilities.
    """
    last = len(support) - 1
    positions = (atoms - support[0]) * (last / (support[-1] - support[0]))  # in atoms of the support
    positions = positions.clamp(0.0, float(last))
    lower = positions.floor().clamp(max=last - 1)
    to_upper = probabilities * (positions - lower)
    projected = torch.zeros(len(atoms), last + 1)
    projected.scatter_add_(1, lower.long(), probabilities - to_upper)
    return projected.scatter_add_(1, lower.long() + 1, to_upper)


def categorical_divergence(logits: Tensor, targets: Tensor) -> Tensor:
    """Kullback-Leibler divergence of softmax(logits) from ``targets``, in nats.

    Its gradient is that of the cross-entropy of C51; unlike that it is 0 where the distributions agree, which makes
    it a priority (Hessel et al. 2018, *Rainbow*).

    Args:
        logits: (B, K).
        targets: (B, K), probabilities without gradient.

    Returns:
        (B,) divergences.
    """
    return (torch.xlogy(targets, targets) - targets * torch.log_softmax(logits, dim=1)).sum(dim=1)


@torch.no_grad()
def soft_average(numbers: Tensor, q_values: Tensor, tau: float) -> tuple[Tensor, Tensor]:
    """Averages over the actions of the policy softmax(q_values / tau).

    Args:
        numbers: (B, num_actions, K).
        q_values: (B, num_actions).
        tau: temperature, above 0.

    Returns:
        The averages (B, K), and the policy's entropy (B,) in nats.
    """
    log_policy = torch.log_softmax(q_values / tau, dim=1)
    policy = log_policy.exp()
    return torch.einsum("ba,bak->bk", policy, numbers), -(policy * log_policy).sum(dim=1)


@torch.no_grad()
def munchausen_bonus(log_policies: Tensor, factors: Tensor, alpha: float, tau: float, clip: float) -> Tensor:
    """Munchausen's additions to the rewards of a window of steps, in soft Q-learning.

    Vieillard et al., *Munchausen Reinforcement Learning* (2020), equation 2, has for one step
    q(s, a) = r + alpha * [tau * log pi(a|s)] + gamma * sum_a' pi(a'|s') (q(s', a') - tau * log pi(a'|s')),
    with [.] cut off at ``clip``. Written out over the actions of a window, every step's reward gets the term in
    brackets, and every step but the first also gets - tau * log pi(a|s), its share of the soft value of its state.
    Since pi is the softmax of q / tau, q(s, a) - tau * log pi(a|s) is that soft value for *every* action: at the
    fixed point the target is the same whatever was done in the window.

    Args:
        log_policies: (n, B), log pi(a_k|s_k) of the actions taken.
        factors: (n, B), gamma**k, and 0 where the window has ended before step k.
        alpha: weight of the term.
        tau: temperature of the policy.
        clip: lower bound of tau * log pi, at most 0.

    Returns:
        (B,), to be added to the window's discounted rewards.
    """
    scaled = tau * log_policies
    terms = alpha * scaled.clamp(min=clip)
    terms[1:] -= scaled[1:]
    return torch.where(factors > 0.0, factors * terms, 0.0).sum(dim=0)
