"""An encoder for rows of entities: the ego attends to everybody on the road."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from drivesim.observations.entities import VALID

__all__ = ["EntityEncoder"]

_NEVER = 1e9  # taken off the scores of empty rows, so that they get no weight


class EntityEncoder(nn.Module):
    """One block of a transformer (Vaswani et al. 2017, *Attention is all you need*) of which the ego's row is kept.

    Each row is embedded alike, the ego's row asks, all rows answer, and what it hears goes through a layer of its own.
    Since only the ego asks, the cost grows with the rows and not with their square; Leurent and Mercat (2019, *Social
    Attention for Autonomous Decision-Making in Dense Traffic*) drive so. Differences from Vaswani et al.: layers are
    normalised before each part and not behind it, and rows have no positions but those that they tell.

    Shapes: obs (B, rows, columns) float32, features (B, width).
    """

    def __init__(self, num_rows: int, num_columns: int, width: int, num_heads: int) -> None:
        """Prepares the layers; ``width`` is a multiple of ``num_heads``."""
        super().__init__()
        self.num_rows, self.num_heads, self.size = num_rows, num_heads, width // num_heads
        self.embed = nn.Linear(num_columns, width)
        self.norm = nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.hear = nn.Linear(width, width)
        self.norm_heard = nn.LayerNorm(width)
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, obs: Tensor) -> Tensor:
        """Maps rows (B, rows, columns) to features (B, width)."""
        rows = functional.relu(self.embed(obs))  # (B, rows, width)
        normed = self.norm(rows)
        queries = self._heads(self.query(normed[:, :1]), 1)  # (B, heads, 1, size)
        keys, values = (self._heads(layer(normed), self.num_rows) for layer in (self.key, self.value))
        scores = torch.matmul(queries, keys.transpose(2, 3)) * self.size**-0.5  # (B, heads, 1, rows)
        is_there = obs[:, :, VALID : VALID + 1].view(-1, 1, 1, self.num_rows)
        weights = functional.softmax(scores + (is_there - 1.0) * _NEVER, dim=3)
        heard = torch.matmul(weights, values).view(-1, self.num_heads * self.size)
        ego = rows[:, :1].squeeze(1) + self.hear(heard)
        features: Tensor = ego + self.narrow(functional.relu(self.widen(self.norm_heard(ego))))
        return features

    def _heads(self, rows: Tensor, num_rows: int) -> Tensor:
        """Splits the width of rows (B, num_rows, width) among the heads, (B, heads, num_rows, size)."""
        return rows.view(-1, num_rows, self.num_heads, self.size).transpose(1, 2)
