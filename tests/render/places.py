"""Where vehicles of a state are, by row and column."""

from drivesim.render.state import place_of


def place_in(state, k=0):
    """Row and column of vehicle k."""
    return place_of(state.map, int(state.world["vehicles"]["cell"][k]))


def put(state, k, row, col):
    """Move vehicle k there, whoever else may be."""
    state.world["vehicles"]["cell"][k] = (row + 1) * int(state.map["width"]) + col + 1
