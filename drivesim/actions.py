"""The actions, numbered as highway-env's discrete meta-actions so that agents and habits carry over."""

from enum import IntEnum


class Action(IntEnum):
    """Actions of an ego in a tick. `Autodrive` leaves out IDLE and numbers the others 0 … 3."""

    LEFT = 0
    """Turn left where the cell allows it, else change to the lane on the left."""
    IDLE = 1
    """Hold speed and heading."""
    RIGHT = 2
    """Turn right where the cell allows it, else change to the lane on the right."""
    FASTER = 3
    """Speed + 1."""
    SLOWER = 4
    """Speed - 1."""
