"""First layer over maps of cell codes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["CodeEncoder", "draw_normal"]


class CodeEncoder(nn.Module):
    """First layer over a map of cell codes: one-hot codes flattened, then linear.

    A row of weights per (cell, code) is looked up and summed over the cells: the same numbers as a
    matrix product with the one-hot vector, without building it.
    """

    offsets: Tensor

    def __init__(self, num_cells: int, num_codes: int, num_outputs: int) -> None:
        """Prepares one row of weights for each code in each cell."""
        super().__init__()
        rows = draw_normal(torch.empty(num_cells * num_codes, num_outputs))
        self.table = nn.EmbeddingBag(len(rows), num_outputs, mode="sum", _weight=rows)
        self.bias = nn.Parameter(torch.zeros(num_outputs))
        offsets = torch.from_numpy(np.arange(num_cells, dtype=np.int64) * num_codes)
        self.register_buffer("offsets", offsets, persistent=False)

    def forward(self, obs: Tensor) -> Tensor:
        """Maps codes of any integer dtype (B, ...) to float32 (B, num_outputs)."""
        rows = obs.flatten(1).long() + self.offsets  # (B, num_cells)
        return torch.add(self.table(rows), self.bias)


def draw_normal(weight: Tensor, std: float = 1.0) -> Tensor:
    """Draws weights, but on the meta device nothing: for that alone torch would import its compiler, for seconds."""
    return weight if weight.is_meta else nn.init.normal_(weight, std=std)
