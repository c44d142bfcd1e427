"""The mirror image of a world: east is west, or for roads of eastbound lanes north is south."""

import numpy as np

from drivesim.core.world import EAST, NORTH, SOUTH, WEST

LEFT, IDLE, RIGHT, FASTER, SLOWER = range(5)
MIRRORED_ACTIONS = np.array([RIGHT, IDLE, LEFT, FASTER, SLOWER])
SIGNED = ("side", "quarter", "turn")  # fields of a vehicle that know left from right


def swapped(a: int, b: int) -> np.ndarray:
    """The headings after a reflection that swaps two of them."""
    headings = np.arange(4)
    headings[[a, b]] = b, a
    return headings


def mirrored_bits(cells: np.ndarray, headings: np.ndarray) -> np.ndarray:
    """Packed cells with their masks of headings reflected."""
    masks = sum(((cells >> heading) & 1) << int(headings[heading]) for heading in range(4))
    return ((cells & 0xF0) | masks).astype(np.uint8)


def mirrored_lanes(lanes: np.ndarray) -> np.ndarray:
    """Packed lanes with left and right of the centre swapped; cells without a lane stay blank."""
    offsets = (lanes & 15).astype(int) - 8
    return np.where(lanes == 0, 0, (lanes & 0xF0) | (8 - offsets)).astype(np.uint8)


def mirrored(worlds: np.ndarray, is_upside_down: bool = False) -> np.ndarray:
    """Left-right images of worlds of one shape; with `is_upside_down` their images across a horizontal axis."""
    worlds = worlds.copy()
    rows, cols = int(worlds["rows"][0]), int(worlds["cols"][0])
    size = rows * cols
    headings = swapped(NORTH, SOUTH) if is_upside_down else swapped(EAST, WEST)
    flip = np.arange(size).reshape(rows, cols)[(slice(None, None, -1), slice(None))[:: 1 if is_upside_down else -1]]
    flip = flip.ravel()
    across, extent, last = ("row", "height", rows - 1) if is_upside_down else ("col", "width", cols - 1)
    worlds["parity"] ^= 1
    for name in ("cells", "lanes", "route", "occupants"):
        worlds[name][:, :size] = worlds[name][:, flip]
    worlds["cells"] = mirrored_bits(worlds["cells"], headings)
    worlds["lanes"] = mirrored_lanes(worlds["lanes"])
    for i in range(len(worlds)):
        vehicles = worlds["vehicles"][i, : worlds["num_vehicles"][i]]
        vehicles[across] = last - vehicles[across]
        vehicles["heading"] = headings[vehicles["heading"]]
        for name in SIGNED:
            vehicles[name] *= -1
        held = vehicles["exit_cell"] >= 0
        vehicles["exit_cell"][held] = flip[vehicles["exit_cell"][held]]
        signals = worlds["signals"][i, : worlds["num_signals"][i]]
        signals[across] = last + 1 - signals[across] - signals[extent]
        if len(signals):
            box = np.arange(signals["height"][0] * signals["width"][0])
            box = box.reshape(signals["height"][0], signals["width"][0])
            box = (box[::-1] if is_upside_down else box[:, ::-1]).ravel()
            claims = vehicles["claim"].astype(int)
            vehicles["claim"] = sum(((claims >> n) & 1) << int(box[n]) for n in range(len(box)))
        pedestrians = worlds["pedestrians"][i, : worlds["num_pedestrians"][i]]
        pedestrians[across] = last - pedestrians[across]
        pedestrians["heading"] = headings[pedestrians["heading"]]
        if worlds["is_eastbound"][i]:
            worlds["first"][i, :rows] = worlds["first"][i, :rows][::-1]
    return worlds
