"""What a driver sees. One file, one encoder with its space; `ENCODERS` is the one table."""

from drivesim.observations import entities, features, full_grid, grid, rgb
from drivesim.observations.encoder import Encoder

ENCODERS: dict[str, Encoder] = {
    "grid": grid.ENCODER,
    "features": features.ENCODER,
    "full_grid": full_grid.ENCODER,
    "entities": entities.ENCODER,
    "rgb": rgb.ENCODER,
}
