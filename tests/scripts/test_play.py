"""Playing and watching in the window, driven by injected key events; SDL's dummy driver is the display."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from itertools import chain, repeat

import pygame
import pytest

from agents.menu import around, items, lines_of, title_of
from agents.ppo import PPOConfig
from agents.training import TrainConfig, train
from drivesim.levels.library import GALLERY, canonical_texts
from drivesim.registry import IDS
from drivesim.render import banner
from drivesim.render.window import SMALLEST, Window
from drivesim.replay import Replay, moments
from scripts import play

LEFT, IDLE, RIGHT, FASTER, SLOWER = range(5)
QUICK = ["--ticks-per-second", "100000", "--countdown", "0"]
UP, DOWN, ENTER = pygame.K_UP, pygame.K_DOWN, pygame.K_RETURN
CUSTOM = "drivesim/Custom-v1"
ROAD = "max_steps = 40\n\n>E > > > > > > > > >G\n. . . . . . . . . .\n"
LONG = ROAD.replace(">E", ">E > > > >").replace("\n. ", "\n. . . . . ")
FAULTY = LONG.replace(">G", ">Q")


@pytest.fixture
def keys(monkeypatch, tmp_path):
    """Presses keys one by one, each once the one before was taken; records what the window says over the picture."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("drivesim.render.window.FRAMES_PER_SECOND", 1000)  # nobody watches
    said = []

    def press(*sequence):
        waiting = iter(sequence)
        present = Window._present

        def spy(window, share):
            present(window, share)
            for lines in (window.banner, tuple(filter(None, window._notice[:1]))):
                if lines and lines not in said:
                    said.append(lines)
            is_loading = any(line.startswith("loading ") for line in window.banner)
            if not is_loading and not window.keys and not pygame.event.peek(pygame.KEYDOWN):
                key = next(waiting, None)
                if key is not None:
                    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))

        monkeypatch.setattr(Window, "_present", spy)
        return said

    return press


def shown(said):
    """What was said when nothing was being loaded."""
    return [banner for banner in said if not banner[-1].startswith("loading ")]


def the_replay(folder):
    (path,) = folder.iterdir()
    return Replay.load(path)


@pytest.mark.parametrize("wasd", [False, True])
def test_keys_drive_the_car(wasd, keys, tmp_path):
    steering = {FASTER: UP, SLOWER: DOWN, LEFT: pygame.K_LEFT, RIGHT: pygame.K_RIGHT}
    if wasd:
        steering = {FASTER: pygame.K_w, SLOWER: pygame.K_s, LEFT: pygame.K_a, RIGHT: pygame.K_d}
    wanted = [RIGHT, LEFT, SLOWER, FASTER, FASTER]
    keys(*(steering[action] for action in wanted), *repeat(steering[FASTER], 30), ENTER)
    arguments = [
        "--env",
        "drivesim/LaneKeep-v1",
        "--wait",
        "--episodes",
        "1",
        "--save",
        str(tmp_path / "saved"),
        *QUICK,
    ]
    assert run(arguments) == 0
    replay = the_replay(tmp_path / "saved")
    assert list(replay.actions[: len(wanted)]) == wanted
    assert set(replay.actions[len(wanted) :]) == {FASTER}
    assert len(list(moments(replay))) == len(replay.actions) + 1


def run(arguments):
    """Runs the script; a window that waits for ever in vain is closed after enough pictures."""
    present = Window._present

    def close_in_the_end(window, share):
        present(window, share)
        if window.num_frames > 600:
            window.close()

    Window._present = close_in_the_end
    try:
        return play.main(arguments)
    finally:
        Window._present = present


ONE = ["--env", "drivesim/LaneKeep-v1", "--episodes", "1", "--save", "saved"]


@pytest.mark.parametrize(
    "stray", [pygame.K_j, pygame.K_F5, pygame.K_LSHIFT, pygame.K_r, pygame.K_m, ENTER, pygame.K_ESCAPE]
)
def test_a_stray_key_never_throws_a_drive_away(stray, keys, tmp_path):
    said = keys(UP, stray, pygame.K_RIGHT, stray, *[UP] * 30, ENTER)
    assert run([*ONE, "--wait", *QUICK]) == 0
    assert the_replay(tmp_path / "saved").actions[:3] == (FASTER, RIGHT, FASTER)
    is_meant = stray not in (pygame.K_j, pygame.K_F5, pygame.K_LSHIFT)
    assert any("this drive would be lost" in line for banner in said for line in banner) == is_meant


def test_a_pause_answers_keys_and_keeps_what_drives_for_the_next_tick(keys, tmp_path, monkeypatch):
    lengths, saved = [], play.saved
    monkeypatch.setattr(
        play, "saved", lambda env, folder: (lengths.append(len(env.replay.actions)), saved(env, folder))[1]
    )
    save, step, pause = pygame.K_v, pygame.K_n, pygame.K_SPACE
    keys(UP, pause, save, save, DOWN, step, save, pause, *[UP] * 30, ENTER)
    assert run([*ONE, *QUICK]) == 0
    assert lengths[:3] == [lengths[0], lengths[0], lengths[0] + 1]
    assert the_replay(tmp_path / "saved").actions[lengths[0]] == SLOWER


def test_whoever_watches_goes_on_to_the_next_level_from_a_pause(keys, tmp_path):
    keys(pygame.K_SPACE, ENTER, pygame.K_SPACE)
    assert run(["--env", "drivesim/LaneKeep-v1", "--demo", "--episodes", "2", "--save", "saved", *QUICK]) == 0
    assert the_replay(tmp_path / "saved").seed == 1


@pytest.mark.parametrize("key", [pygame.K_r, pygame.K_m, ENTER, pygame.K_ESCAPE])
def test_a_drive_is_left_by_the_same_key_pressed_twice(key, keys, tmp_path, monkeypatch):
    seeds = []
    begun = play.begun
    monkeypatch.setattr(play, "begun", lambda *arguments: (seeds.append(arguments[-1]), begun(*arguments))[1])
    said = keys(UP, key, key, pygame.K_ESCAPE, pygame.K_ESCAPE)
    assert run([*ONE, "--wait", *QUICK]) == 0
    assert seeds == {pygame.K_r: [0, 0], ENTER: [0, 1]}.get(key, [0])
    assert (f"> {title_of(ONE[1])}" in said[-1]) == (key == pygame.K_m), "the menu begins at the road that was driven"
    assert not (tmp_path / "saved").exists()


def test_a_key_left_alone_for_long_does_not_count_as_the_first_of_two(keys, monkeypatch):
    window = Window("drivesim")
    assert not window.is_meant(pygame.K_r, "begin again")
    later = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert not window.is_meant(pygame.K_r, "begin again")
    assert window.is_meant(pygame.K_r, "begin again")
    assert not window.is_meant(pygame.K_m, "go to the menu")
    assert not window.is_meant(pygame.K_r, "begin again")
    window.close()


def test_saving_a_replay_does_not_end_the_drive(keys, tmp_path):
    said = keys(UP, pygame.K_RIGHT, pygame.K_v, *[UP] * 30, ENTER)
    assert run([*ONE, "--wait", *QUICK]) == 0
    assert the_replay(tmp_path / "replays").actions == (FASTER, RIGHT)
    assert len(the_replay(tmp_path / "saved").actions) > 3
    assert (f"saved as {tmp_path / 'replays' / 'LaneKeep-v1-0-0.json'}",) in said


def test_a_replay_that_cannot_be_saved_is_told_and_the_drive_goes_on(keys, tmp_path):
    (tmp_path / "replays").write_text("in the way")
    said = keys(UP, pygame.K_v, *[UP] * 30, ENTER)
    assert run([*ONE, "--wait", *QUICK]) == 0
    assert any("the replay could not be saved: " in banner[0] for banner in said)
    assert len(the_replay(tmp_path / "saved").actions) > 2


def test_an_episode_that_was_to_be_saved_and_could_not_be_is_an_error(keys, monkeypatch, capsys):
    keys()

    def fill(replay, path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(play.Replay, "save", fill)
    assert run(["--env", "drivesim/LaneKeep-v1", "--demo", "--episodes", "1", "--save", "saved", *QUICK]) == 1
    assert "error: the replay could not be saved: " in capsys.readouterr().err


def test_a_countdown_comes_before_the_first_tick(keys, monkeypatch):
    times = []
    show = Window.show
    monkeypatch.setattr(Window, "show", lambda window, moment: (times.append(time.monotonic()), show(window, moment)))
    said = keys()
    assert run([*ONE, *QUICK, "--countdown", "0.4"]) == 0
    assert times[1] - times[0] >= 0.4
    assert ("1", "arrows or WASD drive,", "and begin at once") in said


def test_a_key_that_drives_ends_the_countdown_and_is_the_first_action(keys, tmp_path):
    said = keys(pygame.K_j, pygame.K_v, UP, *repeat(None, 60))
    assert run([*ONE, *QUICK, "--countdown", "1000"]) == 0
    assert ("nothing has been driven yet that could be saved",) in said
    assert not (tmp_path / "replays").exists()
    assert the_replay(tmp_path / "saved").actions[0] == FASTER


def test_loading_is_shown(keys, monkeypatch):
    make = play.gym.make
    monkeypatch.setattr(play.gym, "make", lambda *names, **options: (time.sleep(0.3), make(*names, **options))[1])
    said = keys()
    assert run([*ONE, *QUICK]) == 0
    assert said[0] == (f"loading {title_of(ONE[1])} ...",)


@pytest.mark.parametrize("key", [pygame.K_j, UP, ENTER])
def test_only_enter_goes_on_to_the_next_level_while_watching(key, keys, tmp_path):
    keys(*[key] * 5, *repeat(None, 600))
    assert run([*ONE, "--demo", *QUICK]) == 0
    assert (tmp_path / "saved").exists() == (key != ENTER)


@pytest.mark.parametrize("who", [[], ["--demo"]])
def test_without_a_display_there_is_an_error_and_an_exit_status(who):
    gone = ("DISPLAY", "SDL_VIDEODRIVER", "XDG_RUNTIME_DIR")
    there = {name: value for name, value in os.environ.items() if name not in gone}
    command = [sys.executable, play.__file__, *who, "--env", "drivesim/LaneKeep-v1"]
    done = subprocess.run(command, env=there, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()  # and none of what SDL's own libraries lack
    assert line.startswith("error: there is no display")


def test_without_a_key_the_ego_drives_on(keys, tmp_path):
    keys(UP, None, None, DOWN, *repeat(None, 60), ENTER)
    arguments = ["--env", "drivesim/Highway-v1", "--episodes", "1", "--save", str(tmp_path / "saved"), *QUICK]
    assert run(arguments) == 0
    actions = the_replay(tmp_path / "saved").actions
    assert actions.count(FASTER) == actions.count(SLOWER) == 1
    assert actions.count(IDLE) == len(actions) - 2


def test_an_environment_without_idle_waits_for_keys(keys, tmp_path):
    keys(UP, *repeat(None, 50), pygame.K_RIGHT, *repeat(UP, 30), ENTER)
    arguments = ["--env", "drivesim/Autodrive-v1", "--episodes", "1", "--save", str(tmp_path / "saved"), *QUICK]
    assert run(arguments) == 0
    assert the_replay(tmp_path / "saved").actions[:3] == (2, 1, 2)


def test_menu_chooses_scenario_and_difficulty(keys, tmp_path):
    said = keys(DOWN, DOWN, UP, pygame.K_RIGHT, ENTER, *repeat(UP, 30), ENTER)
    assert run(["--wait", "--episodes", "1", "--save", str(tmp_path / "saved"), *QUICK]) == 0
    replay = the_replay(tmp_path / "saved")
    assert replay.env_id == IDS[1]
    assert replay.options["difficulty"] == "hard"
    chosen = list(dict.fromkeys(line for banner in said for line in banner if line.startswith("> ")))
    assert chosen[:3] == [f"> {title_of(env_id)}" for env_id in IDS[:3]]
    assert all("drivesim/" not in line for banner in said for line in banner), "names, not bare ids"
    assert any("[ hard ]" in line for banner in said for line in banner)


def test_names_are_words():
    assert [title_of(f"drivesim/{name}-v1") for name in ("FourWayStop", "City")] == ["Four way stop", "City"]


def test_the_menu_says_what_the_task_is(keys):
    menu = items()
    assert [item.env for item in menu.values() if not item.levels] == list(IDS)
    assert [item.levels for item in menu.values() if item.levels] == [(name,) for name in GALLERY]
    assert all(len(item.task) > 10 for item in menu.values())
    window = Window("drivesim", size=SMALLEST)
    for name, item in menu.items():
        lines = lines_of(window, list(menu), name, item, "medium")
        assert " ".join(item.task.split()) in " ".join(" ".join(lines).split())
        assert f"> {name}" in lines
        box = banner.box_of(lines, window._room()[0])
        assert box.get_size() <= SMALLEST, "stays inside the window"
        assert box.get_height() == banner.LINE * len(lines) + 2 * banner.MARGIN, "no line had to be broken"
    window.close()


def test_menu_ends_with_the_gallery_and_scrolls_to_it(keys, tmp_path):
    names = sorted(GALLERY)
    said = keys(UP, UP, ENTER, *repeat(UP, 60), ENTER)
    arguments = ["--wait", "--episodes", "1", "--save", str(tmp_path / "saved"), *QUICK]
    assert run(arguments) == 0
    replay = the_replay(tmp_path / "saved")
    assert replay.env_id == CUSTOM
    assert replay.options == {"levels": list(canonical_texts(names[-2]))}
    first, last = (
        next(banner for banner in shown(said) if f"> {name}" in banner) for name in ("Autodrive", "Gallery: zipper")
    )
    assert first[0] == "> Autodrive"
    assert "..." in first
    assert "Gallery: zipper" not in first
    assert last[0] == "..."
    assert len(first) == len(last) == (720 - 36) // 30


def test_the_menu_shows_what_is_around_the_chosen_name():
    names = [f"n{n}" for n in range(9)]
    for room in range(3, 12):
        for n, chosen in enumerate(names):
            shown = around(names, chosen, room)
            assert len(shown) == min(room, 9)
            assert shown.count(f"> {chosen}") == 1
            assert ("n0" in shown or "> n0" in shown) == (shown[0] != "...")
            assert ("n8" in shown or "> n8" in shown) == (shown[-1] != "...")
            at = shown.index(f"> {chosen}")
            assert shown[1:-1] == [("> " if k == at else "") + names[n + k - at] for k in range(1, len(shown) - 1)]


class Draws:
    """Writes a file anew at certain ticks of a drive."""

    def __init__(self, monkeypatch, path, contents):
        self.path = path
        self.contents = contents
        self.ticks = []
        self.banners = []
        write(path, contents.pop(0)[1])
        show = Window.show

        def spy(window, moment):
            self.ticks.append((int(moment.state.world["tick"]), int(moment.state.map["cols"])))
            self.banners.append(window.banner)
            show(window, moment)
            if self.contents and self.contents[0][0] == len(self.ticks):
                write(path, self.contents.pop(0)[1])

        monkeypatch.setattr(Window, "show", spy)


def write(path, text):
    if text is None:
        path.unlink()
        return
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(before + 10**9, before + 10**9))


@pytest.mark.parametrize("who", [["--demo"], []])
def test_a_level_that_is_saved_while_it_is_driven_begins_anew(who, keys, tmp_path, monkeypatch):
    keys(*repeat(None, 300))
    path = tmp_path / "road.txt"
    drawn = Draws(monkeypatch, path, [(0, ROAD), (3, LONG), (5, LONG.replace(" >G", "  >G"))])
    run(["--levels", str(path), "--episodes", "1", *who, *QUICK])
    ticks, cols = zip(*drawn.ticks, strict=True)
    assert ticks[:3] == (0, 1, 2)
    assert list(ticks[3:]) == list(range(len(ticks) - 3)), "another content is another level, other blanks are not"
    assert cols == (10,) * 3 + (14,) * (len(cols) - 3)


def test_a_faulty_file_is_told_with_its_place_and_the_old_level_goes_on(keys, tmp_path, monkeypatch):
    keys(*repeat(None, 300))
    path = tmp_path / "road.txt"
    drawn = Draws(monkeypatch, path, [(0, LONG), (3, FAULTY), (4, None), (5, LONG)])
    assert run(["--levels", "road.txt", "--episodes", "1", "--demo", *QUICK]) == 0
    ticks = [tick for tick, _ in drawn.ticks]
    assert ticks == list(range(len(ticks)))
    fault = " ".join(drawn.banners[3])
    assert f"road.txt, line 3, column {FAULTY.splitlines()[2].index('>Q') + 1}: " in fault
    assert "`>Q` is no word of a level" in fault
    assert drawn.banners[4] == ("road.txt is gone; the drive goes on until it is back",)
    assert [bool(banner) for banner in drawn.banners[:6]] == [False] * 3 + [True] * 2 + [False]


def test_a_world_that_waits_for_a_key_sees_a_new_level_all_the_same(keys, tmp_path, monkeypatch):
    keys(UP, None)
    path = tmp_path / "road.txt"
    drawn = Draws(monkeypatch, path, [(0, ROAD), (2, LONG)])
    run(["--levels", str(path), "--wait", *QUICK])
    assert drawn.ticks == [(0, 10), (1, 10), (0, 14)]


def test_score_stands_beside_that_of_the_rules_and_keys_go_on(keys, tmp_path, monkeypatch):
    crash = [UP] * 12
    steps = chain(crash, [pygame.K_r], crash, [ENTER], crash, [pygame.K_v, pygame.K_m, pygame.K_ESCAPE])
    said = keys(*steps)
    notices, choose = [], play.choose
    monkeypatch.setattr(
        play, "choose", lambda window, *rest: (choose(window, *rest), notices.append(window._notice[0]))[0]
    )
    assert run(["--env", "drivesim/LaneKeep-v1", "--wait", "--save", str(tmp_path / "saved"), *QUICK]) == 0
    scores = [banner for banner in said if banner[0].startswith("you: off road after")]
    assert len({banner[:2] for banner in scores}) == 2  # the second time it was the same level
    assert all(banner[1].startswith("rules: arrived after") for banner in scores)
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == [
        "LaneKeep-v1-0-0-2.json",
        "LaneKeep-v1-0-0.json",
        "LaneKeep-v1-1-0.json",
    ], "the second drive of a level does not replace the first"
    assert [path.name for path in (tmp_path / "replays").iterdir()] == ["LaneKeep-v1-1-0.json"]
    assert (f"saved as {tmp_path / 'replays' / 'LaneKeep-v1-1-0.json'}",) in said
    assert any(f"> {title_of(ONE[1])}" in banner for banner in said)  # the menu
    assert notices == [""], "what was saved is not told in the menu"


def test_a_drawn_level_is_called_by_the_name_of_its_file(keys, tmp_path, monkeypatch):
    keys()
    path = tmp_path / "road.txt"
    write(path, ROAD)
    titles = []
    begin = Window.begin
    monkeypatch.setattr(
        Window, "begin", lambda window, title, *rest: (titles.append(title), begin(window, title, *rest))
    )
    for levels in ([str(path)], ["gallery/chicane"], [str(path), str(path)]):
        assert run(["--levels", *levels, "--demo", "--episodes", "1", *QUICK]) == 0
    assert titles == ["road", "chicane", "Custom"]


@pytest.mark.parametrize("key", [pygame.K_r, ENTER])
def test_the_score_of_a_drive_is_off_the_road_in_the_next_one(key, keys, tmp_path, monkeypatch):
    keys(*[UP] * 12, key, *[UP] * 12, pygame.K_ESCAPE)
    path = tmp_path / "road.txt"
    drawn = Draws(monkeypatch, path, [(0, ROAD)])
    run(["--levels", str(path), "--wait", *QUICK])
    assert sum(tick == 0 for tick, _ in drawn.ticks) == 2
    assert not any(drawn.banners), "said while the car drives"


@pytest.mark.parametrize("env_id", IDS)
def test_rules_drive_every_environment(env_id, keys, tmp_path):
    arguments = ["--env", env_id, "--demo", "--episodes", "2", "--save", str(tmp_path / "saved"), *QUICK]
    assert play.main(arguments) == 0
    replays = [Replay.load(path) for path in sorted((tmp_path / "saved").iterdir())]
    assert [replay.seed for replay in replays] == [0, 1]
    assert all(replay.outcome["success"] for replay in replays)


def test_replay_is_shown_to_its_end(keys, tmp_path, monkeypatch):
    replay = Replay.of("drivesim/Obstacles-v1", {"difficulty": "easy"}, seed=5, actions=[1, 3, 1, 4])
    replay.save(tmp_path / "drive.json")
    ticks = []
    show = Window.show
    monkeypatch.setattr(Window, "show", lambda window, moment: (ticks.append(moment.action), show(window, moment)))
    assert play.main(["--replay", str(tmp_path / "drive.json"), "--episodes", "1", *QUICK]) == 0
    assert ticks == [None, 1, 3, 1, 4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env", "drivesim/Moon-v0"], "drivesim/Moon-v0"),
        (["--replay", "nothing.json"], "nothing.json"),
        (["--watch", "nowhere"], "nowhere"),
        (["--demo", "--env", "CartPole-v1"], "CartPole-v1"),
        (["--env", "CartPole-v1"], "CartPole-v1"),
        (["--ticks-per-second", "-1"], "ticks_per_second"),
        (["--levels", "nowhere.txt"], "nowhere.txt"),
        (["--env", "drivesim/Highway-v1", "--levels", "gallery/chicane"], "levels must be left out"),
        (["--env", "drivesim/Highway-v1", "--level-options", "num_vehicles", "9999"], "num_vehicles must be in [0"),
        (["--demo", "--env", "drivesim/Highway-v1", "--level-options", "vehicles", "9"], "num_vehicles 0 to"),
        (["--level-options", "num_vehicles", "9"], "level_options need an env"),
        (["--env", "drivesim/Highway-v1", "--difficulty", "brutal"], "difficulty must be one of ['easy'"),
    ],
)
def test_what_cannot_be_shown_is_said_in_a_line(arguments, message, keys, capsys):
    assert play.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert not pygame.display.get_init()


def test_a_run_is_watched_on_no_road_that_it_was_not_trained_on(keys, tmp_path, capsys):
    run = TrainConfig(env="drivesim/LaneKeep-v1", agent="ppo", total_steps=16, num_threads=1, eval_episodes=1)
    train(replace(run, tensorboard=False, progress=False), PPOConfig(num_envs=2, num_steps=8, minibatches=1), tmp_path)
    assert play.main(["--watch", str(tmp_path), "--env", "drivesim/Exit-v1"]) == 2
    assert "env must be one that the run was trained on, drivesim/LaneKeep-v1" in capsys.readouterr().err
