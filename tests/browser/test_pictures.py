"""The page draws what the package draws: the same pieces in the same places, and the same ground to the pixel."""

import base64
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from scripts_in_node import answer

from drivesim.browser.manifest import lengths_of
from drivesim.browser.pictures import looks, pictures
from drivesim.core.map import MAP
from drivesim.core.world import WORLD
from drivesim.layouts import layouts
from drivesim.registry import IDS
from drivesim.render.ground import ground_of, level_of
from drivesim.render.motion import MIDDLE
from drivesim.render.scene import Scene
from drivesim.render.sprites import ROUTE
from drivesim.render.tiles import tile
from drivesim.rendering import state_of

CHECKS = (Path(__file__).parent / "picture_checks.js").read_text(encoding="utf-8")
CELL = 32
NAMES = {look: name for name, look in looks()}


def states_of(env_id, seed):
    """The states of a drive that mostly goes ahead and sometimes turns."""
    env = gym.make(env_id)
    rng = np.random.default_rng(seed)
    faster = env.unwrapped.action_names.index("FASTER")
    env.reset(seed=seed)
    states, is_over = [state_of(env)], False
    while not is_over and len(states) < 25:
        action = faster if rng.random() < 0.6 else int(rng.integers(env.action_space.n))
        *_, terminated, truncated, _ = env.step(action)
        states.append(state_of(env))
        is_over = terminated or truncated
    return states


def base64_of(record):
    return base64.b64encode(record.tobytes()).decode()


def told(states):
    """A drive in terms of JSON."""
    map, world = states[0]
    return {
        "map_lengths": lengths_of(map.dtype, MAP),
        "world_lengths": lengths_of(world.dtype, WORLD),
        "map": base64_of(map),
        "worlds": [base64_of(state.world) for state in states],
    }


def exported(piece):
    """A piece in the page's terms."""
    down, right = piece.rows[2] - piece.rows[0], piece.cols[2] - piece.cols[0]
    bends = piece.rows[1] - piece.rows[0] - MIDDLE * down, piece.cols[1] - piece.cols[0] - MIDDLE * right
    numbers = [piece.rows[0], piece.cols[0], piece.turn, down, right, *bends, piece.turns, piece.leans]
    look = piece.look._replace(level=0) if piece.look.kind == ROUTE else piece.look  # the page has no arrows to mind
    return NAMES[look], -1 if piece.last_look is None else NAMES[piece.last_look], numbers


@pytest.fixture(scope="module")
def seen(node):
    """By id: the states of a drive and what the page's scripts see in them; and the tiles of all."""
    drives = {env_id: states_of(env_id, seed=n) for n, env_id in enumerate(IDS)}
    numbers = sorted({int(n) for states in drives.values() for n in np.unique(ground_of(level_of(states[0])))})
    found = answer(
        node,
        CHECKS,
        manifest={name: layouts()[name] for name in ("structures", "records")},
        episodes=[told(states) for states in drives.values()],
        tiles=numbers,
        cell=CELL,
        paints=pictures(),
    )
    return drives, dict(zip(drives, found["answers"], strict=True)), dict(zip(numbers, found["tiles"], strict=True))


@pytest.mark.parametrize("env_id", IDS)
def test_the_page_sees_the_pieces_that_a_scene_has_where_a_scene_has_them(seen, env_id):
    drives, answers, _ = seen
    states = drives[env_id]
    for n, (state, found) in enumerate(zip(states, answers[env_id]["scenes"], strict=True)):
        wanted = [exported(piece) for piece in Scene(state, states[n - 1] if n else None).pieces]
        fields = ("row", "col", "turn", "down", "right", "row_bend", "col_bend", "turns", "leans")
        pieces = found["pieces"]
        assert [(piece["look"], piece["last_look"]) for piece in pieces] == [(look, last) for look, last, _ in wanted]
        np.testing.assert_allclose(
            [[piece[name] for name in fields] for piece in pieces], [numbers for *_, numbers in wanted], atol=1e-9
        )


@pytest.mark.parametrize("env_id", IDS)
def test_the_ground_of_every_cell_has_the_facts_that_python_packs(seen, env_id):
    drives, answers, _ = seen
    assert answers[env_id]["numbers"] == ground_of(level_of(drives[env_id][0])).ravel().tolist()


def test_every_tile_is_painted_as_in_python(seen):
    *_, tiles = seen
    assert len(tiles) > 200
    for number, found in tiles.items():
        np.testing.assert_allclose(np.reshape(found, (CELL, CELL, 3)), tile(CELL, number), atol=1, err_msg=str(number))
