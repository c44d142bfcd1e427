"""An encoder for rows of entities: the ego attends to everybody on the road."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from drivesim.observations.entities import ENTITY_AHEAD, ENTITY_RIGHT, NUM_COLUMNS, NUM_COMMON, VALID
from drivesim.observations.near import HALF_WAY

__all__ = ["EntityEncoder"]

_NEVER = 1e9  # taken off the scores of empty rows, so that they get no weight
_FARTHEST = 0.9  # of coded distances: 90 cells; the space's own bound, 1, would be infinitely many
_AHEAD = (-16.0, -8.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 8.0, 16.0)  # cells ahead of the ego
_WIDTHS = (8.0, 6.0, 3.0, 1.5, 1.0, 1.0, 1.0, 1.5, 3.0, 6.0, 8.0)  # from the top of a hat there to its foot
_RIGHT = (-2.0, -1.0, 0.0, 1.0, 2.0)  # cells to its right; a hat is 0 a cell from its top


class EntityEncoder(nn.Module):
    """One block of a transformer (Vaswani et al. 2017, *Attention is all you need*) of which the ego's row is kept.

    The row of everybody is embedded alike, by two layers, and the ego's own facts by one of their own. The ego asks,
    all rows answer, and what it hears goes through a layer behind it. Since only the ego asks, the cost grows with the
    rows and not with their square; Leurent and Mercat (2019, *Social Attention for Autonomous Decision-Making in Dense
    Traffic*) drive so.

    Where somebody is, is told by hat functions of the cells besides: whether somebody is straight ahead, or one cell
    on, is a unit of its own. The coded distances alone, 0 and 0.09 for one cell, are too much alike to learn from. Rows
    of other columns than those of `"entities"`, of which the first must tell whether a row is there, are taken as they
    are.

    Differences from Vaswani et al.: what goes into a part is normalised before it, if it is the ego's, and not behind
    it; rows have no positions but those that they tell; keys have no bias, which the softmax does not feel.

    Shapes: obs (B, rows, columns) float32, features (B, width).
    """

    _ahead: Tensor
    _right: Tensor
    _steepness: Tensor

    def __init__(self, num_rows: int, num_columns: int, width: int, num_heads: int) -> None:
        """Prepares the layers; ``width`` is a multiple of ``num_heads``."""
        super().__init__()
        self.num_rows, self.num_heads, self.size = num_rows, num_heads, width // num_heads
        self.embed_ego = nn.Linear(num_columns, width)
        self.tells_places = num_columns == NUM_COLUMNS
        described = NUM_COMMON + len(_AHEAD) + len(_RIGHT) if self.tells_places else num_columns
        self.embed = nn.Linear(described, width)
        self.embed_again = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.hear = nn.Linear(width, width)
        self.norm_heard = nn.LayerNorm(width)
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.register_buffer("_ahead", torch.tensor(_AHEAD), persistent=False)
        self.register_buffer("_right", torch.tensor(_RIGHT), persistent=False)
        steepness = torch.from_numpy(np.float32(1.0) / np.array(_WIDTHS, np.float32))
        self.register_buffer("_steepness", steepness, persistent=False)

    def forward(self, obs: Tensor) -> Tensor:
        """Maps rows (B, rows, columns) to features (B, width)."""
        rows = functional.relu(self.embed(self.described(obs)))
        rows = functional.relu(self.embed_again(rows))  # (B, rows, width)
        ego = functional.relu(self.embed_ego(obs[:, 0]))
        # The keys' and values' layers are taken to the ego's side of the products, where there is one row: the same
        # numbers but for rounding, in half the time.
        heads, width = self.num_heads, self.num_heads * self.size
        queries = self.query(self.norm(ego)).view(-1, heads, self.size).transpose(0, 1)  # (heads, B, size)
        asked = torch.matmul(queries, self.key.weight.view(heads, self.size, width)).transpose(0, 1)
        scores = torch.matmul(asked, rows.transpose(1, 2)) * self.size**-0.5  # (B, heads, rows)
        is_there = obs[:, :, VALID].unsqueeze(1)
        weights = functional.softmax(scores + (is_there - 1.0) * _NEVER, dim=2)
        mixed = torch.matmul(weights, rows).transpose(0, 1)  # (heads, B, width)
        heard = torch.matmul(mixed, self.value.weight.view(heads, self.size, width).transpose(1, 2))
        heard = heard.transpose(0, 1).reshape(-1, width) + self.value.bias
        ego = ego + self.hear(heard)
        features: Tensor = ego + self.narrow(functional.relu(self.widen(self.norm_heard(ego))))
        return features

    def described(self, obs: Tensor) -> Tensor:
        """What everybody's row tells, (B, rows, columns), and where that is by hat functions of the cells."""
        if not self.tells_places:
            return obs
        common = obs[:, :, :NUM_COMMON]
        coded = common[:, :, ENTITY_AHEAD : ENTITY_RIGHT + 1].clamp(-_FARTHEST, _FARTHEST)
        cells = HALF_WAY * coded / (1.0 - coded.abs())  # what drivesim.observations.near.coded has coded
        ahead = functional.relu(1.0 - (cells[:, :, :1] - self._ahead).abs() * self._steepness)
        right = functional.relu(1.0 - (cells[:, :, 1:] - self._right).abs())
        return torch.cat((common, ahead, right), dim=2)
