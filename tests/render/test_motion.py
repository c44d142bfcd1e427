"""Between two ticks everything moves from where it was to where it will be, and traffic never overlaps."""

import itertools

import gymnasium as gym
import numpy as np
import pytest

import drivesim  # noqa: F401 (registers the environments)
from drivesim.core.world import DRIVING
from drivesim.registry import IDS
from drivesim.render.motion import MIDDLE, is_next, periods_of
from drivesim.render.scene import Scene
from drivesim.render.sprites import CAR, HALF_LENGTH, HALF_WIDTH, TRUCK
from drivesim.render.state import place_of
from drivesim.rendering import state_of

SHARES = np.linspace(0.0, 1.0, 16)


def pairs(env_id, num_envs, ticks, seed=0, **options):
    """States and the same one tick later, under random actions of the ego."""
    envs = gym.make_vec(env_id, num_envs=num_envs, **options)
    envs.reset(seed=seed)
    envs.action_space.seed(seed)
    before = [state_of(envs, i) for i in range(num_envs)]
    for _ in range(ticks):
        envs.step(envs.action_space.sample())
        after = [state_of(envs, i) for i in range(num_envs)]
        for i in range(num_envs):
            if is_next(before[i], after[i]):
                yield before[i], after[i]
        before = after


def corners(scene, share):
    """The corners (V, 4, 2) of the bodies of all driving traffic, as (row, column)."""
    boxes = []
    for piece in scene.pieces:
        if piece.look.kind in (CAR, TRUCK):
            row, col = piece.place(share)
            angle = piece.direction(share) * np.pi / 2
            ahead = np.array([-np.cos(angle), np.sin(angle)]) * HALF_LENGTH
            aside = np.array([np.sin(angle), np.cos(angle)]) * HALF_WIDTH
            middle = np.array([row, col])
            boxes.append(
                [middle + ahead + aside, middle + ahead - aside, middle - ahead - aside, middle - ahead + aside]
            )
    return np.array(boxes).reshape(-1, 4, 2)


def overlapping(boxes, size):
    """Pairs of convex boxes that no line separates; `size` is the map's period, 0 where it ends."""
    found = []
    middles = boxes.mean(axis=1)
    apart = middles[:, None] - middles[None]
    shifts = np.where(size > 0, np.round(apart / np.maximum(size, 1)) * size, 0)
    near = np.abs(apart - shifts).max(axis=2) < 1.5
    for a, b in np.argwhere(np.triu(near, k=1)).tolist():
        first, second = boxes[a], boxes[b] + shifts[a, b]
        edges = np.concatenate((np.diff(first, axis=0, append=first[:1]), np.diff(second, axis=0, append=second[:1])))
        normals = edges[:, ::-1] * (1, -1)
        on_first, on_second = first @ normals.T, second @ normals.T
        is_apart = (on_first.max(axis=0) <= on_second.min(axis=0)) | (on_second.max(axis=0) <= on_first.min(axis=0))
        if not is_apart.any():
            found.append((a, b))
    return found


def test_the_test_sees_overlaps():
    box = np.array([[-0.4, 0.25], [-0.4, -0.25], [0.4, -0.25], [0.4, 0.25]])
    none = np.zeros(2)
    assert overlapping(np.stack((box, box + np.array([0.7, 0.0]))), none) == [(0, 1)]
    assert overlapping(np.stack((box, box + np.array([0.9, 0.0]))), none) == []
    assert overlapping(np.stack((box, box + np.array([0.0, 0.6]))), none) == []
    assert overlapping(np.stack((box, box + np.array([0.0, 99.6]))), np.array([0, 100])) == [(0, 1)]


@pytest.mark.parametrize(
    ("env_id", "options"),
    [
        ("drivesim/Highway-v1", {"difficulty": "hard"}),
        (
            "drivesim/Highway-v1",
            {"length": 60, "distance": 60, "num_lanes": 5, "num_vehicles": 40, "fastest": 5},
        ),
        ("drivesim/Intersection-v1", {"difficulty": "hard"}),
        ("drivesim/Autodrive-v1", {"difficulty": "hard"}),
        ("drivesim/Obstacles-v1", {}),
        ("drivesim/LaneKeep-v1", {}),
    ],
)
def test_traffic_never_overlaps_between_two_ticks(env_id, options):
    seen = 0
    for before, after in pairs(env_id, num_envs=4, ticks=45, **options):
        old, new = (state.world["vehicles"][: int(state.world["num_vehicles"])] for state in (before, after))
        size = np.array(periods_of(after.map))
        scene = Scene(after, before)
        assert scene.moves
        (old_rows, _), (new_rows, _) = place_of(after.map, old["cell"]), place_of(after.map, new["cell"])
        seen += int((old_rows != new_rows).sum() + (old["heading"] != new["heading"]).sum())
        if not (old["status"] == new["status"]).all():
            continue  # somebody has crashed
        for share in SHARES:
            assert overlapping(corners(scene, share), size) == [], (share, int(after.world["tick"]))
    assert seen > 50


@pytest.mark.parametrize("env_id", IDS)
def test_everything_starts_where_it_was_and_ends_where_it_is(env_id):
    for before, after in pairs(env_id, num_envs=2, ticks=25):
        moving, standing = Scene(after, before), Scene(before)
        period = np.array([int(after.map["rows"]), int(after.map["cols"])])
        kinds = ("ego", "car", "truck", "pedestrian")
        first = [piece for piece in moving.pieces if piece.look.kind in kinds]
        still = [piece for piece in standing.pieces if piece.look.kind in kinds]
        ends = [piece for piece in Scene(after).pieces if piece.look.kind in (*kinds, "wreck")]
        assert len(first) == len(still)
        for piece, then, end in zip(first, still, ends, strict=True):
            assert piece.place(0.0) == then.place(1.0)
            assert piece.direction(0.0) == then.direction(1.0)
            assert np.array_equal(np.mod(piece.place(1.0), period), np.mod(end.place(1.0), period))
            assert piece.direction(1.0) % 4 == end.direction(1.0) % 4


@pytest.mark.parametrize("env_id", IDS)
def test_nothing_jumps(env_id):
    for before, after in pairs(env_id, num_envs=2, ticks=25):
        for piece in Scene(after, before).pieces:
            steps = [np.subtract(piece.place(b), piece.place(a)) for a, b in itertools.pairwise(SHARES)]
            assert np.abs(steps).max() <= 6 / (1 - MIDDLE) / 15 + 1e-9
            assert abs(piece.turns) <= 1


def test_a_world_of_another_episode_is_left_out_of_account():
    env = gym.make("drivesim/Highway-v1")
    env.reset(seed=0)
    first = state_of(env)
    env.step(3)
    second = state_of(env)
    env.step(3)
    third = state_of(env)
    env.reset()
    other = state_of(env)
    assert Scene(second, first).moves
    assert not Scene(third, first).moves
    assert not Scene(first, second).moves
    assert not Scene(other, third).moves
    assert not Scene(first).moves
    for scene in (Scene(third, first), Scene(other, third)):
        assert all(piece.rows[0] == piece.rows[2] and piece.cols[0] == piece.cols[2] for piece in scene.pieces)


@pytest.mark.parametrize(
    ("env_id", "periods"),
    [
        ("drivesim/Highway-v1", (0, 100)),
        ("drivesim/Intersection-v1", (30, 30)),
        ("drivesim/Autodrive-v1", (0, 10)),
        ("drivesim/Obstacles-v1", (0, 0)),
        ("drivesim/LaneKeep-v1", (0, 0)),
    ],
)
def test_a_map_goes_on_with_its_other_side_where_portals_lead_there(env_id, periods):
    env = gym.make(env_id)
    env.reset(seed=0)
    assert periods_of(state_of(env).map) == periods


def test_traffic_that_leaves_the_map_comes_in_on_its_other_side():
    env = gym.make("drivesim/Intersection-v1", num_vehicles=20)
    env.reset(seed=0)
    before = state_of(env)
    crossed = 0
    for _ in range(100):
        _, _, terminated, _, _ = env.step(1)
        after = state_of(env)
        for piece in Scene(after, before).pieces:
            if piece.look.kind in (CAR, TRUCK):
                way = np.array([piece.rows, piece.cols])
                assert np.abs(way[:, 2] - way[:, 0]).sum() <= 2
                crossed += int(way.min() < 0 or way.max() > 29)
        before = after
        if terminated:
            break
    assert crossed > 3


def test_vehicles_are_shown_as_they_were_until_the_tick_is_over():
    env = gym.make("drivesim/Obstacles-v1")
    env.reset(seed=0)
    before = state_of(env)
    terminated = False
    while not terminated:
        after = before
        before = state_of(env)
        _, _, terminated, _, info = env.step(3)
        after = state_of(env)
    assert info["collision"] or info["off_road"]
    assert before.world["vehicles"]["status"][0] == DRIVING
    (ego,) = (piece for piece in Scene(after, before).pieces if piece.look.kind == "ego")
    assert ego.look_at(0.99).kind == "ego"
    assert ego.look_at(1.0).kind == "wreck"
