"""Playing and watching in the window, driven by injected key events; SDL's dummy driver is the display."""

from itertools import chain, repeat

import pygame
import pytest

from drivesim.registry import IDS
from drivesim.render.window import Window
from drivesim.replay import Replay, moments
from scripts import play

LEFT, IDLE, RIGHT, FASTER, SLOWER = range(5)
QUICK = ["--ticks-per-second", "100000"]
UP, DOWN, ENTER = pygame.K_UP, pygame.K_DOWN, pygame.K_RETURN


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
    ],
)
def test_what_cannot_be_shown_is_said_in_a_line(arguments, message, keys, capsys):
    assert play.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert not pygame.display.get_init()
