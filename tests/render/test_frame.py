"""Pictures show what the state says, at a constant size, and change nothing."""

import itertools
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from places import place_in, put

import drivesim  # noqa: F401 (registers the environments)
from drivesim.core.texts import AN_EGO
from drivesim.core.world import CRASHED, DRIVING, GREEN, RED, TOP_SPEED, YELLOW
from drivesim.levels.alphabet import read_word
from drivesim.registry import IDS
from drivesim.render import palette
from drivesim.render.frame import draw_frame, draw_text
from drivesim.render.ground import FACTS, lane_arrows, packed, unpacked
from drivesim.render.scene import Scene
from drivesim.render.sprites import BRIGHT_ARROW, CHEVRON, CHEVRON_OVER_ARROW, ROUTE, Look, sprite
from drivesim.render.view import view_of
from drivesim.rendering import state_of

IDLE, FASTER = 1, 3
CHECKERS = (palette.CHECKER_LIGHT, palette.CHECKER_DARK)


def make(env_id, **options):
    return gym.make(env_id, render_mode="rgb_array", **options)


def drive(env, seed):
    """Yield the state at the start and after every step of an episode of random actions that avoid a quick end."""
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    yield state_of(env)
    for _ in range(25):
        action = int(rng.integers(env.action_space.n)) if rng.random() < 0.3 else FASTER % env.action_space.n
        _, _, terminated, truncated, _ = env.step(action)
        yield state_of(env)
        if terminated or truncated:
            return


def count(frame, colour):
    """Pixels of exactly this colour."""
    return int((frame == np.array(colour, np.uint8)).all(axis=2).sum())


def pixel(state, frame, k=0):
    """The pixel in the middle of the cell of vehicle k."""
    view = view_of(state)
    row, col = place_in(state, k)
    row = int(view.row_of(row)) * view.cell + view.cell // 2
    col = int(view.col_of(col)) * view.cell + view.cell // 2
    return tuple(frame[row, col].tolist())


@pytest.mark.parametrize("env_id", IDS)
def test_size_is_constant_over_episodes_and_suits_video_encoders(env_id):
    env = make(env_id)
    sizes = {draw_frame(state).shape for seed in range(3) for state in drive(env, seed)}
    assert len(sizes) == 1
    height, width, channels = sizes.pop()
    assert channels == 3
    assert height % 16 == 0
    assert width % 16 == 0
    assert 400 <= max(height, width) <= 640


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("Highway", {"length": 41, "distance": 30, "num_lanes": 1, "num_vehicles": 2}),
        ("Highway", {"length": 140, "num_lanes": 5}),
        ("Obstacles", {"length": 25, "num_lanes": 2, "num_walls": 1}),
        ("Obstacles", {"length": 33, "num_lanes": 6}),
        ("LaneKeep", {"length": 17, "half_lane": 1}),
        ("LaneKeep", {"half_lane": 3}),
        ("Intersection", {"num_vehicles": 0}),
        ("Autodrive", {"crossing_cars": 0}),
    ],
)
def test_size_suits_video_encoders_with_other_options_too(name, level):
    env = make(f"drivesim/{name}-v1", **level)
    frames = [draw_frame(state) for seed in range(2) for state in drive(env, seed)]
    assert len({frame.shape for frame in frames}) == 1
    height, width, _ = frames[0].shape
    assert height % 16 == 0
    assert width % 16 == 0
    assert 400 <= max(height, width) <= 640
    assert all(count(frame, palette.EGO) + count(frame, palette.FLAME) > 0 for frame in frames)


@pytest.mark.parametrize("env_id", IDS)
def test_frame_is_a_picture(env_id):
    env = make(env_id)
    env.reset(seed=0)
    frame = env.render()
    assert frame.dtype == np.uint8
    assert len(np.unique(frame.reshape(-1, 3), axis=0)) > 20
    assert count(frame, palette.GRASS) > 0
    assert count(frame, palette.ASPHALT) + count(frame, palette.OPEN_GROUND) > 0


@pytest.mark.parametrize("env_id", IDS)
def test_ego_is_where_the_state_says(env_id):
    for state in drive(make(env_id), seed=1):
        if state.world["vehicles"]["status"][0] == DRIVING:
            assert pixel(state, draw_frame(state)) == palette.EGO


def test_a_cell_of_a_small_map_is_at_a_fixed_place():
    env = make("drivesim/Autodrive-v1")
    for state in drive(env, seed=2):
        frame = draw_frame(state)
        if state.world["vehicles"]["status"][0] == DRIVING:  # 12 x 12 cells of 52 pixels, the map's first the second
            row, col = place_in(state)
            middle = frame[(row + 1) * 52 + 26, (col + 1) * 52 + 26]
            assert tuple(middle.tolist()) == palette.EGO


@pytest.mark.parametrize("env_id", IDS)
def test_frame_changes_as_the_ego_moves(env_id):
    moved = 0
    for seed in (3, 4, 5):
        for before, after in itertools.pairwise(drive(make(env_id), seed)):
            if place_in(before) != place_in(after):
                moved += 1
                assert (draw_frame(before) != draw_frame(after)).any()
    assert moved > 0


def test_ring_scrolls_past_an_ego_that_stays_at_its_column():
    env = make("drivesim/Highway-v1", num_vehicles=0)
    env.reset(seed=0)
    columns, frames = set(), []
    for _ in range(24):  # once around the ring and over its seam
        env.step(FASTER)
        frames.append(env.render())
        columns.add(int(np.argwhere((frames[-1] == palette.EGO).all(axis=2))[:, 1].mean()))
    assert len(columns) == 1
    assert (frames[-1] != frames[-2]).any()


def test_ring_shows_traffic_across_its_seam():
    env = make("drivesim/Highway-v1", num_vehicles=1)
    env.reset(seed=0)
    state = state_of(env)
    shown = []
    for col in (40, 98):
        put(state, 0, place_in(state, 0)[0], col)
        put(state, 1, place_in(state, 1)[0], (col + 5) % 100)
        frame = draw_frame(state)
        assert pixel(state, frame, 1) in palette.TRAFFIC
        shown.append(np.argwhere((frame == palette.TRAFFIC[1]).all(axis=2)).mean(axis=0))
    assert shown[0] == pytest.approx(shown[1])


def test_tall_road_is_shown_to_its_ends():
    env = make("drivesim/Obstacles-v1")
    env.reset(seed=0)
    state = state_of(env)
    assert count(draw_frame(state), palette.CHECKER_DARK) == 0
    view = view_of(state)
    assert view.first_row + view.rows == int(state.map["rows"])
    put(state, 0, 1, place_in(state)[1])
    assert view_of(state).first_row == 0
    assert count(draw_frame(state), palette.CHECKER_DARK) > 0


@pytest.mark.parametrize("length", [12, 32, 33, 39, 40, 41, 60])
def test_a_road_is_shown_as_wide_as_the_window_whatever_its_length(length):
    env = make("drivesim/Custom-v1", levels=">E0 " + "> " * (length - 2) + ">G0\n" + ". " * length + "\n")
    env.reset(seed=0)
    state = state_of(env)
    frame = draw_frame(state)
    cell = view_of(state).cell
    assert frame.shape[1] // cell == min(40, length + length % 2)
    assert count(frame, palette.EGO) > 0


def test_traffic_is_where_the_state_says():
    for env_id in ("drivesim/Autodrive-v1", "drivesim/Intersection-v1"):
        for state in drive(make(env_id), seed=4):
            frame = draw_frame(state)
            vehicles = state.world["vehicles"]
            for k in range(1, int(state.world["num_vehicles"])):
                if vehicles["status"][k] == DRIVING and vehicles["top_speed"][k] > 1:
                    assert pixel(state, frame, k) in palette.TRAFFIC


@pytest.mark.parametrize("axis", ["colour_0", "colour_1"])
def test_signals_show_their_colour(axis):
    env = make("drivesim/Intersection-v1", num_vehicles=0)
    env.reset(seed=0)
    state = state_of(env)
    counts = {}
    for colour in (GREEN, YELLOW, RED):
        state.world["lamps"][axis][0] = colour
        frame = draw_frame(state)
        counts[colour] = [count(frame, lamp) for lamp in palette.LAMPS]
    for colour, other in itertools.permutations((GREEN, YELLOW, RED), 2):
        assert counts[colour][colour] > counts[other][colour]


def test_each_approach_has_its_own_colour():
    env = make("drivesim/Intersection-v1", num_vehicles=0)
    env.reset(seed=0)
    state = state_of(env)
    state.world["lamps"]["colour_0"][0], state.world["lamps"]["colour_1"][0] = RED, GREEN
    frame = draw_frame(state)
    for lamp, south_east in ((palette.LAMPS[RED], True), (palette.LAMPS[GREEN], False)):
        # seen from the middle: northbound cars have their signal in the south-east, southbound in the north-west
        row, col = (np.argwhere((frame == lamp).all(axis=2)) - 240).T
        assert ((row * col > 0) == south_east).all()
    text = draw_text(state)
    assert text.endswith("signal 1 red/green\n")
    assert [text.count(line) for line in ("|^", "|>", "|v", "|<")] == [1, 1, 1, 1]


def test_brake_lights_burn_while_a_car_slows_down():
    env = make("drivesim/Autodrive-v1")
    env.reset(seed=0)
    state = state_of(env)
    for car in range(2):
        state.world["vehicles"]["acceleration"][:] = 0
        assert count(draw_frame(state), palette.BRAKE_LIGHT) == 0
        state.world["vehicles"]["acceleration"][car] = -1
        assert count(draw_frame(state), palette.BRAKE_LIGHT) > 0


def test_a_crashed_car_is_in_flames():
    for env_id in IDS:
        env = make(env_id)
        env.reset(seed=0)
        state = state_of(env)
        assert count(draw_frame(state), palette.FLAME_CORE) == 0
        state.world["vehicles"]["status"][0] = CRASHED
        assert count(draw_frame(state), palette.FLAME_CORE) > 0
        assert "E0" not in draw_text(state)
        assert draw_text(state).count("X") == 1


def test_a_wreck_at_the_edge_of_the_picture_is_cut_off():
    env = make("drivesim/Intersection-v1")
    env.reset(seed=0)
    state = state_of(env)
    state.world["vehicles"]["status"][0] = CRASHED
    size = draw_frame(state).shape
    for row, col in itertools.product((0, 29), (0, 29)):
        put(state, 0, row, col)
        frame = draw_frame(state)
        assert frame.shape == size
        flames = np.argwhere((frame == palette.FLAME_CORE).all(axis=2))
        assert len(flames) > 0
        assert np.abs(flames - [16 * row + 8, 16 * col + 8]).max() <= 16


def test_obstacles_stand_out():
    env = make("drivesim/Obstacles-v1")
    env.reset(seed=0)
    frame = env.render()
    assert count(frame, palette.BARRIER) > 0
    assert count(frame, palette.BARRIER_STRIPE) > 0
    assert count(frame, palette.PARKED) > 0
    env = make("drivesim/Obstacles-v1", num_obstacles=0, num_walls=0, num_closed=0)
    env.reset(seed=0)
    frame = env.render()
    assert count(frame, palette.BARRIER) == count(frame, palette.PARKED) == 0


@pytest.mark.parametrize("env_id", IDS)
def test_drawing_alters_nothing(env_id):
    env = make(env_id)
    env.reset(seed=5)
    for _ in range(5):
        _, _, terminated, _, _ = env.step(FASTER % env.action_space.n)
        if terminated:
            return
        state = state_of(env)
        before = [record.tobytes() for record in state]
        first = draw_frame(state)
        draw_text(state)
        assert [record.tobytes() for record in state] == before
        first[:] = 0  # the caller may paint over it
        assert draw_frame(state).any()
        _, _, terminated, _, _ = env.step(0)
        if terminated:
            return


def test_same_world_same_frame():
    env = make("drivesim/Intersection-v1")
    env.reset(seed=6)
    first = env.render()
    assert (env.render() == first).all()
    other = make("drivesim/Intersection-v1")
    other.unwrapped.set_state(env.unwrapped.get_state())
    assert (draw_frame(state_of(other)) == first).all()


@pytest.mark.parametrize("env_id", IDS)
def test_text_has_one_ego_and_one_word_per_cell(env_id):
    for state in drive(make(env_id), seed=7):
        *lines, figures = draw_text(state).splitlines()
        assert len({len(line.split()) for line in lines}) == 1
        words = " ".join(lines).split()
        egos = [word for word in words if word != "X" and read_word(word).who == AN_EGO]
        assert len(egos) == (state.world["vehicles"]["status"][0] == DRIVING)
        tick, speed = int(state.world["tick"]), int(state.world["vehicles"]["speed"][0])
        assert figures.startswith(f"tick {tick}   speed {speed}   route ")
        assert 0 <= speed <= TOP_SPEED


def test_text_of_a_field():
    env = gym.make("drivesim/Autodrive-v1", render_mode="ansi", num_obstacles=1, crossing_cars=1)
    env.reset(seed=8)
    state = state_of(env)
    lines = env.render().splitlines()
    assert len(lines) == 11
    assert lines[0].split() == ["+G0"] * 10
    (row, col), (car_row, car_col) = place_in(state, 0), place_in(state, 1)
    assert lines[row].split()[col] == "+E0"
    assert lines[car_row].split()[car_col].endswith(f"+a{state.world['vehicles']['speed'][1]}")
    assert "".join(lines[:10]).count("#") == 1


def test_text_tells_colours_of_signals_only():
    env = gym.make("drivesim/FourWayStop-v1", render_mode="ansi")
    env.reset(seed=0)
    assert "signal" not in env.render()


def test_text_shows_signals_and_route():
    env = gym.make("drivesim/Intersection-v1", render_mode="ansi", num_vehicles=0)
    env.reset(seed=0)
    state = state_of(env)
    state.world["lamps"]["colour_0"][0], state.world["lamps"]["colour_1"][0] = GREEN, RED
    assert draw_text(state).endswith("signal 1 green/red\n")
    state.world["egos"]["remaining"][0] = int(state.world["egos"]["route_length"][0]) // 2
    assert abs(float(draw_text(state).split("route ")[1].split("%")[0]) - 50) < 3


def test_the_goal_that_is_shown_is_that_of_ego_0():
    env = gym.make("drivesim/Intersection-v1", distance=8, num_vehicles=0)
    env.reset(seed=0)
    state = state_of(env)
    for goal, (row, col) in enumerate(((6, 15), (15, 23), (23, 14), (14, 6))):  # northbound, eastbound, …
        state.world["egos"]["goal"][0] = goal
        words = [line.split() for line in draw_text(state).splitlines()[:-1]]
        assert f"G{goal}" in words[row][col]
        assert tuple(draw_frame(state, size=480)[16 * row + 1, 16 * col + 6].tolist()) in CHECKERS


def test_importing_the_renderer_loads_neither_pygame_nor_torch():
    program = "import sys, drivesim.render.frame; print([m for m in ('pygame', 'torch') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_wrappers_collect_a_frame_per_step():
    env = gym.wrappers.RenderCollection(make("drivesim/Obstacles-v1"))
    env.reset(seed=0)
    for _ in range(4):
        env.step(FASTER)
    frames = env.render()
    assert len(frames) == 5
    assert all(frame.shape == frames[0].shape and frame.dtype == np.uint8 for frame in frames)


@pytest.mark.parametrize("env_id", ["drivesim/Obstacles-v1", "drivesim/Intersection-v1"])
def test_vector_environment_gives_the_frames_of_its_envs(env_id):
    envs = gym.make_vec(env_id, num_envs=3, render_mode="rgb_array")
    envs.reset(seed=10)
    envs.step(np.full(3, FASTER))
    frames = envs.render()
    assert len(frames) == 3
    for i, frame in enumerate(frames):
        env = make(env_id)
        env.reset(seed=10 + i)
        env.step(FASTER)
        assert (frame == env.render()).all()


def test_facts_survive_packing():
    rng = np.random.default_rng(0)
    facts = {name: rng.integers(0, 1 << bits, (3, 4)) for name, bits in FACTS.items()}
    numbers = packed(facts)
    for at in np.ndindex(3, 4):
        assert unpacked(int(numbers[at])) == {name: int(array[at]) for name, array in facts.items()}


# What eyes without one kind of cone see: Machado, Oliveira, Fernandes, IEEE TVCG 15 (2009) 1291, on linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def seen_as(colour, kind):
    """CIELAB coordinates of a colour as seen with a kind of colour blindness."""
    value = np.array(colour) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(BLINDNESS[kind]) @ linear, 0, 1)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    x, y, z = np.cbrt(np.maximum(to_xyz @ linear / [0.95047, 1.0, 1.08883], 0.009))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("kind", BLINDNESS)
def test_what_matters_differs_for_every_kind_of_eye(kind):
    ground = [palette.ASPHALT, palette.OPEN_GROUND, palette.SHOULDER, palette.GRASS]
    things = [palette.EGO, palette.BARRIER, *palette.TRAFFIC]
    pairs = [*itertools.combinations(things, 2), *itertools.product(things, ground)]
    pairs += itertools.combinations(palette.LAMPS, 2)
    pairs += itertools.product(palette.LAMPS, [palette.LAMP_HOUSING, palette.LAMP_OFF])
    for first, second in pairs:
        assert np.linalg.norm(seen_as(first, kind) - seen_as(second, kind)) > 15, (first, second)


def test_signs_of_the_way_and_arrows_of_lanes_do_not_lie_over_each_other():
    seen = set()
    for seed in range(6):
        env = make("drivesim/Exit-v1", num_vehicles=0)
        env.reset(seed=seed)
        scene = Scene(state_of(env))
        arrows = lane_arrows(scene.level)
        for piece in scene.pieces:
            if piece.look.kind == ROUTE:
                arrow = arrows.get((piece.rows[0], piece.cols[0]))
                is_along = arrow == piece.turn
                assert piece.look.level == (
                    CHEVRON if arrow is None else BRIGHT_ARROW if is_along else CHEVRON_OVER_ARROW
                )
                seen.add(piece.look.level)
    assert {CHEVRON, BRIGHT_ARROW} <= seen
    for cell in (16, 32, 64):
        bright, over = (sprite(cell, Look(ROUTE, level=level), 1.0) for level in (BRIGHT_ARROW, CHEVRON_OVER_ARROW))
        assert bright.colour.shape[1] > bright.colour.shape[0], "it leads east, as the arrow beneath"
        assert (over.colour[over.through[..., 0] < 128].max(axis=1) < 60).any(), "a dark rim parts it from the arrow"
