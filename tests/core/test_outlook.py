"""What an ego is told of the road ahead is what the rules of traffic then do."""

import gymnasium as gym
import numpy as np
import pytest
from ascii_map import IDLE, Car, from_ascii

import drivesim  # noqa: F401 (registers the environments)
from agents.scripted import make_scripted
from drivesim.core.map import ALL_WAY_STOP, LEFT_SIDE, NORTH, RIGHT_SIDE, WEST
from drivesim.core.outlook import entry_in_sight, has_turn, next_turn
from drivesim.scenarios.intersection import Intersection

MY_TURN = Intersection.window.planes.index("my_turn")
BOX = {"row": 2, "col": 2, "height": 2, "width": 2, "green_0": 90, "green_1": 9, "yellow": 3, "all_red": 2}
CROSSROADS = """
    . . v  ^  . .
    . . |v ^  . .
    < < v< ^< |< b
    > |> v> ^> > >
    . . v  E . .
    . . v  ^ . .
"""


def is_my_turn(situation) -> bool:
    _, entry = entry_in_sight(situation.map, situation.world, 0)
    return bool(has_turn(situation.map, situation.world, 0, entry))


@pytest.mark.parametrize("difficulty", ["easy", "hard"])
def test_who_stands_at_the_entry_is_let_in_when_it_was_told_so_and_hardly_ever_else(difficulty) -> None:
    num_envs = 200
    envs = gym.make_vec("drivesim/Intersection-v1", num_envs=num_envs, difficulty=difficulty).unwrapped
    driver = make_scripted("drivesim/Intersection-v1")
    obs, _ = envs.reset(seed=5)
    counts = np.zeros(2, int)
    for _ in range(60):
        before = envs.get_state()
        egos = before["world"]["vehicles"][:, 0]
        waits = (egos["asked_at"] >= 0) & (egos["may_enter"] == 0) & (egos["speed"] == 0) & (egos["status"] == 1)
        told = obs[:, MY_TURN, 0, 0] > 0
        envs.step(np.full(num_envs, IDLE))
        after = envs.get_state()["world"]
        let_in = (after["vehicles"]["may_enter"][:, 0] == 1) & (after["tick"] > before["world"]["tick"])
        assert let_in[waits & told].all()
        # Somebody's turn may lapse in the tick in which the ego's begins: of that it is not told.
        counts += [(told & waits).sum(), (let_in & waits & ~told).sum()]
        envs.set_state(before)
        obs = envs.step(driver(obs))[0]
    assert counts[0] >= 50
    assert counts[1] <= counts[0] // 5


@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
def test_who_enters_only_when_told_so_takes_nobody_s_way_moving_or_not(difficulty) -> None:
    num_envs = 300
    envs = gym.make_vec("drivesim/Intersection-v1", num_envs=num_envs, difficulty=difficulty).unwrapped
    driver = make_scripted("drivesim/Intersection-v1")
    obs, _ = envs.reset(seed=9)
    num_ends, failures = 0, 0
    for _ in range(120):
        obs, _, terminated, truncated, info = envs.step(driver(obs))
        ended = terminated | truncated
        num_ends += ended.sum()
        failures += info["failed_to_yield"][ended].sum() if ended.any() else 0
    assert num_ends >= 300
    assert failures == 0


def test_whoever_has_been_let_in_across_my_way_takes_my_turn() -> None:
    situation = from_ascii(CROSSROADS, signals=[BOX], is_periodic=True, E=Car(NORTH, on="|^"), b=Car(WEST, 0, 1))
    assert is_my_turn(situation)
    situation.hold("b", (2, 3), (2, 2), (2, 1))
    assert not is_my_turn(situation)
    situation.hold("b")
    situation.world.lamps[0].colour_0 = 2
    assert not is_my_turn(situation), "at red"


def test_at_an_all_way_stop_nobody_s_turn_comes_before_it_stands_at_the_line() -> None:
    for speed, row in ((0, 4), (1, 4), (0, 5)):
        words = [line.split() for line in CROSSROADS.strip().splitlines()]
        words[4][3], words[5][3] = "|^", "^"
        words[row][3] = "E"
        drawing = "\n".join(" ".join(line) for line in words)
        on = "|^" if row == 4 else "^"
        situation = from_ascii(drawing, signals=[BOX], is_periodic=True, E=Car(NORTH, speed, on=on), b=Car(WEST, 0, 1))
        situation.map.junctions[0].control = ALL_WAY_STOP
        assert is_my_turn(situation) == ((speed, row) == (0, 4))


def test_vehicles_show_where_their_way_turns_within_ten_cells_and_to_which_side() -> None:
    for turn in (LEFT_SIDE, 0, RIGHT_SIDE):
        situation = from_ascii(
            CROSSROADS, signals=[BOX], is_periodic=True, E=Car(NORTH, on="|^"), b=Car(WEST, 0, 1, next_turn=turn)
        )
        k = situation.names.index("b")
        assert next_turn(situation.map, situation.world, k, 10) == (
            ({LEFT_SIDE: 3, RIGHT_SIDE: 2}[turn], turn) if turn else (-1, 0)
        )
        assert next_turn(situation.map, situation.world, k, 1) == (-1, 0)


def test_what_a_leader_gives_back_goes_to_the_ego_behind_it_and_not_to_whoever_follows_that() -> None:
    situation = from_ascii(
        """
        . . ^ . .
        . . ^ . .
        > > c > >
        > > ^> > >
        > > E > >
        . . a . .
        . . ^ . .
        """,
        signals=[{"row": 2, "col": 2, "height": 3, "width": 1, "green_0": 90, "green_1": 9, "yellow": 3, "all_red": 2}],
        E=Car(NORTH, 0, on="^>"),
        c=Car(NORTH, 1, 1, on="^>"),
        a=Car(NORTH, 0, 1),
    )
    situation.hold("c", (2, 2), (1, 2))
    situation.hold("E", (4, 2), (3, 2))
    situation.vehicle("a").may_enter = 1
    situation.play(IDLE)
    assert situation.at("c") == (1, 2)
    assert {(4, 2), (3, 2), (2, 2)} <= situation.held_by("E")
    assert situation.held_by("a") <= {(1, 2)}
