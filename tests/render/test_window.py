"""The window shows what the state says, smoothly, and does what keys ask for; SDL's dummy driver is the display."""

import copy
import itertools
import pickle
import subprocess
import sys
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pygame
import pytest
from places import place_in

from agents.keyboard import HINT
from drivesim.registry import IDS
from drivesim.render import banner, palette, panel
from drivesim.render.desktop import DesktopWindow
from drivesim.render.moment import Decision, Moment
from drivesim.render.planned_route import planned_route
from drivesim.render.view import filling, view_of
from drivesim.render.window import FASTEST, SMALLEST, XRAY_KEY, Window
from drivesim.rendering import state_of

MINUS = "\N{MINUS SIGN}"
ACTIONS = ("LEFT", "IDLE", "RIGHT", "FASTER", "SLOWER")
QUICK = 1000.0  # ticks per second: every tick takes one picture


@pytest.fixture
def window():
    windows = []

    def make(**options):
        windows.append(Window("drivesim", ACTIONS, **{"ticks_per_second": QUICK, **options}))
        return windows[-1]

    yield make
    for each in windows:
        each.close()
    pygame.event.clear() if pygame.display.get_init() else None


def press(*keys):
    for key in keys:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))


def drive(env_id="drivesim/Obstacles-v1", seed=0, ticks=8, **options):
    """Moments of a drive straight on."""
    env = gym.make(env_id, **options)
    env.reset(seed=seed)
    row, col = place_in(state_of(env))
    yield Moment(state_of(env), decision=Decision((0.1, 0.5, -0.2, 0.9, 0.0), False, 0.9, ((row, col + 1, 1.0),)))
    for _ in range(ticks):
        _, reward, terminated, _, info = env.step(3 % env.action_space.n)
        yield Moment(state_of(env), 3, reward, info["reward_terms"])
        if terminated:
            return


def pixels(size=None):
    """What the window shows, (height, width, 3)."""
    return pygame.surfarray.array3d(DesktopWindow._open[-1].surface).transpose(1, 0, 2).copy()


def resize(width, height):
    DesktopWindow._open[-1]._window.size = width, height


def collect(window, monkeypatch, on_frame=lambda number: None):
    """Every picture that a window shows from now on, each followed by `on_frame`."""
    frames = []
    present = window._present

    def spy(share):
        present(share)
        frames.append(pixels())
        on_frame(len(frames))

    monkeypatch.setattr(window, "_present", spy)
    return frames


def count(picture, colour):
    return int((picture == np.array(colour, np.uint8)).all(axis=2).sum())


@pytest.mark.parametrize("env_id", IDS)
def test_ego_is_where_the_state_says(env_id, window):
    shown = window(size=(900, 700))
    for moment in drive(env_id, ticks=3):
        shown.show(moment)
        picture = pixels()[:, : 900 - panel.WIDTH]
        if moment.world["vehicles"]["status"][0] != 1:
            return
        extents, cell = filling(moment.state.map, 900 - panel.WIDTH, 700)
        view = view_of(moment.state, cell, extents=extents)
        top, left = (700 - view.rows * cell) // 2, (900 - panel.WIDTH - view.cols * cell) // 2
        row, col = place_in(moment.state)
        row = int(view.row_of(row)) * cell + cell // 2 + top
        col = int(view.col_of(col)) * cell + cell // 2 + left
        assert tuple(picture[row, col]) == palette.EGO


def test_pictures_between_two_ticks_differ(window, monkeypatch):
    shown = window(ticks_per_second=8.0)
    first, *rest = drive(ticks=2)
    shown.show(first)
    frames = collect(shown, monkeypatch)
    shown.show(rest[-2])
    places = [np.argwhere((frame == palette.EGO).all(axis=2)).mean(axis=0)[0] for frame in frames]
    assert len(frames) >= 3
    assert all(later <= earlier for earlier, later in itertools.pairwise(places))
    assert len({round(place) for place in places}) >= 3  # northward, little by little


def test_pause_holds_the_drive_until_it_is_pressed_again(window, monkeypatch):
    shown = window(ticks_per_second=20.0)
    first, second = list(drive(ticks=1))
    shown.show(first)

    def wake(number):
        if number == 6:
            press(pygame.K_SPACE)

    press(pygame.K_SPACE)
    frames = collect(shown, monkeypatch, wake)
    shown.show(second)
    assert len(frames) > 6
    assert not shown.is_paused
    road = [frame[:, : -panel.WIDTH] for frame in frames]
    assert all((frame == road[0]).all() for frame in road[:6])
    assert (road[-1] != road[0]).any()


def test_single_step_shows_one_tick_and_waits_again(window, monkeypatch):
    shown = window()
    moments = list(drive(ticks=3))
    shown.show(moments[0])
    presses = {3: pygame.K_n, 8: pygame.K_n, 12: pygame.K_SPACE}
    frames = collect(shown, monkeypatch, lambda number: press(presses[number]) if number in presses else None)
    press(pygame.K_SPACE)
    finished = []
    for moment in moments[1:]:
        shown.show(moment)
        finished.append(len(frames))
    assert finished[0] in range(4, 8)
    assert finished[1] in range(9, 12)
    assert finished[2] > 12


def test_speed_doubles_and_halves_within_bounds(window):
    shown = window()
    first, *rest = drive(ticks=3)
    shown.show(first)
    press(pygame.K_PLUS)
    shown.show(rest[0])
    assert shown.speed == 2
    press(*[pygame.K_EQUALS] * 9)
    shown.show(rest[1])
    assert shown.speed == FASTEST
    press(*[pygame.K_MINUS] * 2)
    shown.show(rest[2])
    assert shown.speed == FASTEST / 4


def test_a_picture_is_saved_where_the_window_says_and_never_overwrites_another(window, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = window()
    first, second = list(drive(ticks=1))
    shown.show(first)
    press(pygame.K_p, pygame.K_p)
    shown.show(second)
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"], "not into the current folder"
    paths = sorted((tmp_path / "pictures").iterdir())
    assert len(paths) == 2
    assert shown._notice[0] == f"saved as {paths[1]}"
    picture = pygame.surfarray.array3d(pygame.image.load(str(paths[0]))).transpose(1, 0, 2)
    assert picture.shape == pixels().shape
    assert count(picture, palette.EGO) > 0


def test_a_picture_that_cannot_be_saved_is_told(window, tmp_path):
    shown = window()
    shown.picture_folder = tmp_path / "file"
    shown.picture_folder.write_text("in the way")
    first, second = list(drive(ticks=1))
    shown.show(first)
    press(pygame.K_p)
    shown.show(second)
    assert shown._notice[0].startswith("the picture could not be saved: ")


@pytest.mark.parametrize("how", ["key", "mouse", "pygame"])
def test_closed_window_stays_closed_and_holds_nobody_up(how, window):
    shown = window()
    first, second, third = list(drive(ticks=2))
    shown.show(first)
    if how == "key":
        press(pygame.K_ESCAPE)
    elif how == "mouse":
        pygame.event.post(pygame.event.Event(pygame.QUIT))
    else:
        pygame.quit()
    shown.show(second)
    assert not shown.is_open
    frames = shown.num_frames
    shown.show(third)
    shown.wait_for_key()
    shown.close()
    assert shown.num_frames == frames


def test_window_opens_again_after_pygame_was_quit(window):
    """Gymnasium's HumanRendering quits pygame when it is closed; fonts made before are unusable then."""
    for _ in range(2):
        shown = window()
        shown.banner = ("again",)
        shown.show(next(drive()))
        assert count(pixels(), panel.FOREGROUND) > 0
        pygame.quit()


def test_resizing_fits_the_picture(window):
    shown = window()
    first, *rest = drive(ticks=2)
    shown.show(first)
    small = count(pixels(), palette.EGO)
    resize(1400, 1300)
    shown.show(rest[0])
    assert pixels().shape == (1300, 1400, 3)
    assert count(pixels(), palette.EGO) > 2 * small
    resize(10, 10)
    shown.show(rest[1])
    assert pixels().shape == (*SMALLEST[::-1], 3)
    assert count(pixels(), palette.EGO) > 0


@pytest.mark.parametrize("size", [(1280, 720), (700, 1000), (2000, 500), SMALLEST])
@pytest.mark.parametrize("env_id", IDS)
def test_a_strip_of_a_road_fills_a_screen_and_a_banner_hides_neither_the_ego_nor_the_cells_before_it(
    env_id, size, window
):
    shown = window()
    resize(*size)
    for moment in drive(env_id, ticks=2):
        shown.banner = ()
        shown.show(moment)
        width = size[0] - panel.WIDTH
        picture = pixels()[:, :width]
        assert count(picture, panel.BACKGROUND) == 0
        assert count(picture, palette.EGO) + count(picture, palette.FLAME) > (20 if size != SMALLEST else 0)
        shown.banner = ("3", *HINT)
        shown.show(moment)
        hidden = (pixels()[:, :width] != picture).any(axis=2)
        assert hidden.any()
        extents, cell = filling(moment.state.map, width, size[1])
        view = view_of(moment.state, cell, extents=extents)
        for row, col in (place_in(moment.state), *(sign[:2] for sign in planned_route(moment.state)[:6])):
            y = int((view.row_of(row) + 0.5) * cell) + (size[1] - view.shape[0]) // 2
            x = int((view.col_of(col) + 0.5) * cell) + (width - view.shape[1]) // 2
            assert not hidden[max(0, y - cell) : y + cell, max(0, x - cell) : x + cell].any(), (row, col)


def test_panel_and_xray_come_and_go(window):
    shown = window()
    moments = list(drive(ticks=4))
    shown.show(moments[0])
    assert count(pixels(), panel.BACKGROUND) > 0
    assert XRAY_KEY in shown._footer()
    with_panel = (pixels()[:, -panel.WIDTH :] == panel.FOREGROUND).all(axis=2).sum()
    assert with_panel > 100
    press(pygame.K_TAB)
    shown.show(moments[1])
    assert (pixels()[:, -panel.WIDTH :] == panel.FOREGROUND).all(axis=2).sum() == 0
    plain = pixels()
    press(pygame.K_x)
    shown._handle_events()
    shown._present(1.0)
    assert (pixels() != plain).any()
    shown.begin("drivesim", ACTIONS, 5)
    shown.show(moments[1])
    assert XRAY_KEY not in shown._footer(), "nothing to tint where nobody tells decisions"


def test_keys_without_a_meaning_are_kept_for_the_driver(window):
    shown = window()
    first, second = list(drive(ticks=1))
    shown.show(first)
    press(pygame.K_UP, pygame.K_SPACE, pygame.K_SPACE, pygame.K_a)
    shown.show(second)
    assert shown.keys == [pygame.K_UP, pygame.K_a]
    shown.wait_for_key()  # returns at once


def test_closing_one_of_two_windows_leaves_the_other_alive(window):
    one, other = window(), window()
    first, second, third = list(drive(ticks=2))
    for each in (one, other):
        each.show(first)
    one.close()
    other.show(second)
    assert (one.is_open, other.is_open) == (False, True)
    assert count(pixels(), palette.EGO) > 0
    another = window()
    another.show(third)
    other.close()
    assert another.is_open
    another.close()
    assert not pygame.display.get_init()


def test_keys_and_the_mouse_are_for_the_window_that_they_mean(window):
    one, other = window(), window()
    event, key = pygame.event.Event, pygame.K_UP
    pygame.event.post(event(pygame.KEYDOWN, key=key, window=other._desktop._window))
    pygame.event.post(event(pygame.WINDOWCLOSE, window=one._desktop._window))
    one._handle_events()
    assert (one.is_open, other.is_open) == (False, True)
    assert one.keys == []
    other._handle_events()
    assert other.keys == [key]


def test_a_display_that_somebody_else_has_opened_stays(window):
    pygame.display.init()
    window().close()
    assert pygame.display.get_init()
    pygame.display.quit()


def test_texts_stay_inside_their_boxes(window):
    board = panel.Panel("A title that is far longer than any panel could ever be", ("A" * 40,) * 2)
    start, moment = list(drive(ticks=1))
    board.take(replace(start, decision=Decision((0.1, 0.9), False, 0.9)))
    board.take(replace(moment, action=0, reward_terms={"a_part_of_the_reward_whose_name_never_ends": -12345.678}))
    drawn = pygame.surfarray.array3d(board.draw(700, ["a note " * 20])).transpose(1, 0, 2)
    assert (drawn[:, -panel.MARGIN :] == panel.BACKGROUND).all()
    values = (drawn == panel.BAD).all(axis=2)
    row = np.flatnonzero(values.any(axis=1))
    left = np.flatnonzero(values.any(axis=0))[0]  # one right of the minus sign's soft edge
    assert (drawn[row[0] : row[-1] + 1, left - panel.GAP : left - 1] == panel.BACKGROUND).all(), "name and value"
    shown = window(size=SMALLEST)
    for text in ("word " * 60, "w" * 300):
        box = banner.box_of((text,), shown._room()[0])
        assert box.get_width() <= shown._room()[0]
        edge = pygame.surfarray.array3d(box)[-banner.MARGIN :]
        assert (edge == edge[0, 0]).all()


def test_negative_numbers_have_a_minus_sign_which_the_font_has(monkeypatch):
    written = []
    monkeypatch.setattr(panel._Pen, "row", lambda pen, name, value, *colours: written.append(value))
    start, moment = list(drive(ticks=1))
    moment.state.world["vehicles"]["speed"][0] = -1
    board = panel.Panel("title", ACTIONS)
    board.take(replace(start, decision=Decision((-0.5,) * len(ACTIONS), False, -0.25)))
    board.take(replace(moment, action=0, reward=-0.75, reward_terms={"time": -0.125}))
    board.draw(700)
    assert {f"{MINUS}{number}" for number in ("1", "0.50", "0.25", "0.750", "0.125")} <= set(written)
    minus, hyphen, none = (
        pygame.surfarray.array_alpha(panel.font(panel.TEXT).render(sign, True, panel.FOREGROUND)) > 128
        for sign in (MINUS, "-", "\ue123")
    )
    assert minus.any(axis=1).sum() > hyphen.any(axis=1).sum()  # it is wider
    assert minus.any(axis=0).sum() <= 2 < none.any(axis=0).sum()  # and no box, as for signs that the font lacks


def test_speed_of_a_window_must_be_above_zero():
    for value in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="ticks_per_second"):
            Window("drivesim", ACTIONS, ticks_per_second=value)


def test_panel_shows_the_decision_that_led_to_the_action():
    first, second = list(drive(ticks=1))
    board = panel.Panel("title", ACTIONS)
    board.take(first)
    without = pygame.surfarray.array3d(board.draw(700))
    board.take(second)
    assert board.episode_return == second.reward
    drawn = pygame.surfarray.array3d(board.draw(700))
    assert (drawn == palette.YELLOW).all(axis=2).sum() > 300  # the bar of the action taken
    assert (without == palette.YELLOW).all(axis=2).sum() == 0
    board.take(first)  # a new episode
    assert board.episode_return == 0.0


@pytest.mark.parametrize("env_id", IDS)
def test_every_environment_runs_in_a_window(env_id, monkeypatch):
    monkeypatch.setattr("drivesim.rendering.RENDER_FPS", QUICK)
    env = gym.make(env_id, render_mode="human")
    plain = gym.make(env_id)
    assert (env.reset(seed=3)[0] == plain.reset(seed=3)[0]).all()
    before = pixels()
    assert len(np.unique(before.reshape(-1, 3), axis=0)) > 20
    for _ in range(4):
        result, expected = env.step(1), plain.step(1)
        assert (result[0] == expected[0]).all()
        assert result[1:4] == expected[1:4]
        assert env.render() is None
        if result[2]:
            break
    assert (pixels() != before).any()
    env.close()
    assert not pygame.display.get_init()


def test_closing_the_window_lets_the_environment_go_on(monkeypatch):
    monkeypatch.setattr("drivesim.rendering.RENDER_FPS", QUICK)
    env = gym.make("drivesim/Highway-v1", render_mode="human")
    env.reset(seed=0)
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    env.step(1)
    assert not pygame.display.get_init()
    assert env.step(3)[4]["mean_speed"] > 0
    env.reset()
    assert not pygame.display.get_init()
    env.close()


@pytest.mark.parametrize("num_envs", [1, 6])
def test_vector_environment_shows_its_envs_in_a_window(num_envs, monkeypatch):
    monkeypatch.setattr("drivesim.rendering.RENDER_FPS", QUICK)
    envs = gym.make_vec("drivesim/Obstacles-v1", num_envs=num_envs, render_mode="human")
    envs.reset(seed=0)
    for _ in range(60):  # over the end of episodes
        envs.step(np.full(num_envs, 3))
    assert envs.render() is None
    picture = pixels()
    assert count(picture, palette.EGO) + count(picture, palette.FLAME) > 0
    envs.close()
    assert not pygame.display.get_init()


def test_environment_with_a_window_can_be_copied_and_pickled(monkeypatch):
    monkeypatch.setattr("drivesim.rendering.RENDER_FPS", QUICK)
    env = gym.make("drivesim/LaneKeep-v1", render_mode="human")
    env.reset(seed=0)
    twin = copy.deepcopy(env.unwrapped)
    other = pickle.loads(pickle.dumps(env.unwrapped))
    results = [each.step(3) for each in (env.unwrapped, twin, other)]
    assert results[0][1] == results[1][1] == results[2][1]
    windows = [each.unwrapped._renderer._window for each in (env, twin, other)]
    for number, each in enumerate((twin, other, env)):
        each.close()
        assert sum(window.is_open for window in windows) == 2 - number, "a copy or pickle leaves the others alive"


def test_pictures_and_text_load_no_pygame():
    program = (
        "import sys, gymnasium as gym, drivesim\n"
        "for mode in ('rgb_array', 'ansi'):\n"
        "    env = gym.make('drivesim/Autodrive-v1', render_mode=mode); env.reset(seed=0); env.render()\n"
        "envs = gym.make_vec('drivesim/Autodrive-v1', num_envs=2, render_mode='rgb_array')\n"
        "envs.reset(seed=0); envs.render(); envs.unwrapped.render_grid()\n"
        "print([m for m in ('pygame', 'torch') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
