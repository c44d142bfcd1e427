"""What a driver sees. One file, one encoder with its space; `ENCODERS` is the one table."""

from drivesim.observations import features, full_grid, grid
from drivesim.observations.encoder import Encoder

ENCODERS: dict[str, Encoder] = {
    "grid": grid.ENCODER,
    "features": features.ENCODER,
    "full_grid": full_grid.ENCODER,
}
