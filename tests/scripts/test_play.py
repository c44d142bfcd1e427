"""Playing and watching in the window, driven by injected key events; SDL's dummy driver is the display."""

import os
from itertools import chain, repeat

import pygame
import pytest

from drivesim.levels.library import GALLERY, canonical_texts
from drivesim.registry import IDS
from drivesim.render.window import Window
from drivesim.replay import Replay, moments
from scripts import play

LEFT, IDLE, RIGHT, FASTER, SLOWER = range(5)
QUICK = ["--ticks-per-second", "100000"]
UP, DOWN, ENTER = pygame.K_UP, pygame.K_DOWN, pygame.K_RETURN
CUSTOM = "drivesim/Custom-v1"
ROAD = "max_steps = 40\n\n>E > > > > > > > > >G\n. . . . . . . . . .\n"
LONG = ROAD.replace(">E", ">E > > > >").replace("\n. ", "\n. . . . . ")
FAULTY = LONG.replace(">G", ">Q")


@pytest.fixture
def keys(monkeypatch, tmp_path):
    """Presses keys one by one, each once the one before was taken; records what the window says over the picture."""
    monkeypatch.chdir(tmp_path)
    said = []

    def press(*sequence):
        waiting = iter(sequence)
        present = Window._present

        def spy(window, share):
            present(window, share)
            if window.banner and window.banner not in said:
                said.append(window.banner)
            if not window.keys and not pygame.event.peek(pygame.KEYDOWN):
                key = next(waiting, None)
                if key is not None:
                    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))

        monkeypatch.setattr(Window, "_present", spy)
        return said

    return press


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
    assert [next(line for line in banner if line.startswith("> ")) for banner in said[:3]] == [
        f"> {env_id}" for env_id in IDS[:3]
    ]
    assert any("[ hard ]" in line for line in said[3])


def test_menu_ends_with_the_gallery_and_scrolls_to_it(keys, tmp_path):
    names = sorted(GALLERY)
    said = keys(UP, UP, ENTER, *repeat(UP, 60), ENTER)
    arguments = ["--wait", "--episodes", "1", "--save", str(tmp_path / "saved"), *QUICK]
    assert run(arguments) == 0
    replay = the_replay(tmp_path / "saved")
    assert replay.env_id == CUSTOM
    assert replay.options == {"levels": list(canonical_texts(names[-2]))}
    first, last = said[0], said[1]
    assert first[0] == f"> {IDS[0]}"
    assert "..." in first
    assert names[-1] not in first
    assert last[0] == "..."
    assert f"> {names[-1]}" in last
    assert len(first) == len(last) == (720 - 36) // 30


def test_the_menu_shows_what_is_around_the_chosen_name():
    names = [f"n{n}" for n in range(9)]
    for room in range(3, 12):
        for n, chosen in enumerate(names):
            shown = play.around(names, chosen, room)
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
    drawn = Draws(monkeypatch, path, [(0, LONG), (3, FAULTY), (5, LONG)])
    assert run(["--levels", str(path), "--episodes", "1", "--demo", *QUICK]) == 0
    ticks = [tick for tick, _ in drawn.ticks]
    assert ticks == list(range(len(ticks)))
    fault = " ".join(drawn.banners[4])
    assert f"road.txt, line 3, column {FAULTY.splitlines()[2].index('>Q') + 1}: " in fault
    assert "`>Q` is no word of a level" in fault
    assert [bool(banner) for banner in drawn.banners[:6]] == [False] * 3 + [True] * 2 + [False]


def test_a_world_that_waits_for_a_key_sees_a_new_level_all_the_same(keys, tmp_path, monkeypatch):
    keys(UP, None)
    path = tmp_path / "road.txt"
    drawn = Draws(monkeypatch, path, [(0, ROAD), (2, LONG)])
    run(["--levels", str(path), "--wait", *QUICK])
    assert drawn.ticks == [(0, 10), (1, 10), (0, 14)]


def test_score_stands_beside_that_of_the_rules_and_keys_go_on(keys, tmp_path):
    crash = [UP] * 12
    steps = chain(crash, [pygame.K_r], crash, [ENTER], crash, [pygame.K_v, pygame.K_m, pygame.K_ESCAPE])
    said = keys(*steps)
    assert run(["--env", "drivesim/LaneKeep-v1", "--wait", "--save", str(tmp_path / "saved"), *QUICK]) == 0
    scores = [banner for banner in said if banner[0].startswith("you: off road after")]
    assert len({banner[:2] for banner in scores}) == 2  # the second time it was the same level
    assert all(banner[1].startswith("rules: arrived after") for banner in scores)
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == [
        "LaneKeep-v1-0-0.json",
        "LaneKeep-v1-1-0.json",
    ]
    assert [path.name for path in (tmp_path / "replays").iterdir()] == ["LaneKeep-v1-1-0.json"]
    assert any("saved as replays/LaneKeep-v1-1-0.json" in banner for banner in said)
    assert said[-1][0].startswith("> drivesim/")  # the menu


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
    assert titles == ["road", "chicane", CUSTOM]


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
