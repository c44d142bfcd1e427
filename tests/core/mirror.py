"""The mirror image of a world and its map: east is west, or for roads of eastbound lanes north is south."""

import numpy as np

from drivesim.core.map import CHANGE_LEFT, CHANGE_RIGHT, EAST, IS_DESTINATION, NORTH, PORTAL, SOUTH, WAY, WEST

LEFT, IDLE, RIGHT, FASTER, SLOWER = range(5)
MIRRORED_ACTIONS = np.array([RIGHT, IDLE, LEFT, FASTER, SLOWER])
SIGNED = ("lane_shift", "turn_now")  # fields of a vehicle that know left from right


def swapped(is_upside_down: bool) -> np.ndarray:
    """The headings after the reflection."""
    headings = np.arange(4)
    a, b = (NORTH, SOUTH) if is_upside_down else (EAST, WEST)
    headings[[a, b]] = b, a
    return headings


def flipped(maps: np.ndarray, is_upside_down: bool) -> np.ndarray:
    """The cell that takes each cell's place, border included; of maps of one shape."""
    rows, width = int(maps["rows"][0]) + 2, int(maps["width"][0])
    cells = np.arange(rows * width).reshape(rows, width)
    return (cells[::-1] if is_upside_down else cells[:, ::-1]).ravel()


def mirrored_ground(ground: np.ndarray, headings: np.ndarray) -> np.ndarray:
    """Ground with its masks of headings reflected."""
    masks = sum(((ground >> heading) & 1) << int(headings[heading]) for heading in range(4))
    return ((ground & 0xF0) | masks).astype(np.uint8)


def mirrored_lanes(lanes: np.ndarray) -> np.ndarray:
    """Packed lanes with left and right of the centre swapped; cells without a lane stay blank."""
    offsets = (lanes & 15).astype(int) - 8
    return np.where(lanes == 0, 0, (lanes & 0xF0) | (8 - offsets)).astype(np.uint8)


def mirrored_maps(maps: np.ndarray, is_upside_down: bool = False) -> np.ndarray:
    """Left-right images of maps of one shape; with `is_upside_down` their images across a horizontal axis.

    Destinations keep their numbers, and so do the slots.
    """
    maps = maps.copy()
    headings, flip = swapped(is_upside_down), flipped(maps, is_upside_down)
    size = len(flip)
    ground, leads_to, comes_from = (maps[name][:, :size] for name in ("ground", "leads_to", "comes_from"))
    for name in ("ground", "lanes", "junction", "slots", "leads_to", "comes_from"):
        maps[name][:, :size] = maps[name][:, flip]
    for destination in range(int(maps["num_destinations"][0])):
        of_all = slice(destination * size, (destination + 1) * size)
        maps["distances"][:, of_all] = maps["distances"][:, destination * size + flip]
    reflected = np.concatenate([[0], 1 + headings])  # of 1 + heading
    for destination in range(maps["ways"].shape[1] // maps["lanes"].shape[1]):
        ways = maps["ways"][:, destination * size + flip]
        left, right = ways & CHANGE_LEFT, ways & CHANGE_RIGHT
        changes = left // CHANGE_LEFT * CHANGE_RIGHT + right // CHANGE_RIGHT * CHANGE_LEFT
        image = (ways & IS_DESTINATION) + changes + reflected[ways & WAY]
        maps["ways"][:, destination * size : (destination + 1) * size] = image
        maps["stays"][:, destination * size : (destination + 1) * size] = maps["stays"][:, destination * size + flip]
    ground[:] = mirrored_ground(ground, headings)
    maps["lanes"] = mirrored_lanes(maps["lanes"])
    is_portal = ground & PORTAL != 0
    targets = leads_to[is_portal]
    leads_to[is_portal] = 4 * flip[targets >> 2] + headings[targets & 3]
    is_target = comes_from != 0
    comes_from[is_target] = flip[comes_from[is_target]]
    return maps


def mirrored_worlds(maps: np.ndarray, worlds: np.ndarray, is_upside_down: bool = False) -> np.ndarray:
    """The images of worlds on such maps."""
    worlds = worlds.copy()
    headings, flip = swapped(is_upside_down), flipped(maps, is_upside_down)
    worlds["is_mirrored"] ^= 1
    worlds["occupants"][:, : len(flip)] = worlds["occupants"][:, flip]
    for i in range(len(worlds)):
        vehicles = worlds["vehicles"][i, : worlds["num_vehicles"][i]]
        for name in ("cell", "next_cell"):
            vehicles[name] = flip[vehicles[name]]
        vehicles["heading"] = headings[vehicles["heading"]]
        for name in SIGNED:
            vehicles[name] *= -1
        worlds["egos"]["next_turn"][i] *= -1
        stood_at = worlds["egos"]["stood_at"][i]
        worlds["egos"]["stood_at"][i] = np.where(stood_at > 0, flip[stood_at], 0)
        people = worlds["people"][i, : worlds["num_people"][i]]
        people["cell"] = flip[people["cell"]]
        people["heading"] = headings[people["heading"]]
    return worlds
