"""The state that is drawn: a map and a world on it, and what every picture reads of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
Record = np.record


class State(NamedTuple):
    """A world and its map; neither is to be changed."""

    map: Record
    """As in `core.map.MAP`."""
    world: Record
    """As in `core.world.WORLD`; an episode of it has begun."""

    def to_array(self, dtype: np.dtype[np.void]) -> Array:
        """A state (1,) for the `set_state` of an environment with the same options, of the type that it keeps."""
        state: Array = np.zeros(1, dtype)
        state["world"][0] = self.world
        if "map" in (dtype.names or ()):
            state["map"][0] = self.map
        return state


def place_of(map: Record, cells: Any) -> tuple[Any, Any]:
    """Rows and columns of cells, an integer or an array of any shape."""
    rows, cols = divmod(cells, int(map["width"]))
    return rows - 1, cols - 1


def grid_of(map: Record, block: Array) -> Array:
    """A view (rows, cols) of a block (cells,) of a map or its world, without the border."""
    rows, width = int(map["rows"]) + 2, int(map["width"])
    return block[: rows * width].reshape(rows, width)[1:-1, 1:-1]


def is_ring(map: Record) -> bool:
    """Whether egos drive round, so that their goal is no cell."""
    return bool(map["ring_rows"] or map["ring_cols"])


def distances_of(state: State) -> Array:
    """A view (layers, cells) of the moves from every cell to the goal of ego 0, for maps that are no rings.

    Layers are the ego's headings where goals have one; else there is one for all.
    """
    num_layers = 4 if state.map["has_goal_headings"] else 1
    num_cells = (int(state.map["rows"]) + 2) * int(state.map["width"])
    first = int(state.world["egos"]["goal"][0]) * num_layers * num_cells
    distances: Array = state.map["distances"][first : first + num_layers * num_cells]
    return distances.reshape(num_layers, num_cells)


def is_goal(state: State) -> Array:
    """Bool (cells,): the cells of the goal of ego 0, for maps that are no rings."""
    is_cell: Array = (distances_of(state) == 0).any(axis=0)
    return is_cell


def completion_of(world: Record) -> float:
    """The share of the route behind ego 0, at least 0."""
    ego = world["egos"][0]
    route_length = max(1, int(ego["route_length"]))
    return max(0.0, (route_length - int(ego["remaining"])) / route_length)
