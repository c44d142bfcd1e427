"""Traffic on the networks of `road_networks`: levels with as many vehicles as they may carry, in one batch."""

from random import Random
from typing import Any

import numpy as np
from records import frame_of
from road_networks import Network, draw_destinations, draw_network
from roads import set_speeds

from drivesim.core.certificate import CYCLE_IS_FULL, FINE
from drivesim.core.cycles import NUM_PLANES
from drivesim.core.map import MAP
from drivesim.core.memory import Frame
from drivesim.core.options import OPTIONS
from drivesim.core.refusals import FRAME, certify_level, cycle_of
from drivesim.core.world import WORLD
from drivesim.levels.alphabet import class_name
from drivesim.levels.building import Level, begun
from drivesim.levels.library import gathered
from drivesim.levels.text import read

STYLES = ("calm", "normal", "hasty")
MOST_VEHICLES = 40


def room_for(level: Level) -> int:
    """How many vehicles may drive on a level, 0 if nobody may; found with those that are there."""
    maps, worlds = begun(level)
    scratch = np.zeros(NUM_PLANES * maps["ground"].shape[1], np.int64)
    frame = Frame(FRAME)
    frame.set(maps=maps, worlds=worlds, options=np.zeros(1, OPTIONS), scratch=scratch)
    answer = int(certify_level(frame.argument, 0))
    reason, cell = answer % 256, answer // 256
    if reason != CYCLE_IS_FULL:
        return int(worlds["num_vehicles"][0]) if reason == FINE else 0
    return len(cycle_of(maps[0], cell, scratch)) - 1


def draw_level(dice: Random, controls: tuple[int, ...], num_egos: int = 0) -> tuple[str, Level]:
    """The text of a network with as many vehicles as it may carry, or fewer, and its level; all are at rest."""
    while True:
        network = draw_network(dice, controls)
        num_goals = draw_destinations(network)
        places = network.sheet.lanes()
        places = dice.sample(places, min(MOST_VEHICLES, len(places)))
        cars = [f"{class_name(n)}0" for n in range(len(places))]
        cars = [f"E{n}" for n in range(num_egos)] + cars[num_egos:]
        facts = []
        for name in cars:
            facts.append(
                {
                    f"{name[:-1]}.top_speed": dice.choice((1, 2, 3, 4, 5, 5)),
                    f"{name[:-1]}.style": f'"{dice.choice(STYLES)}"',
                    f"{name[:-1]}.destination": dice.randrange(num_goals),
                }
            )
        if num_egos > 0:
            network.head["has_reverse"] = dice.randint(0, 1)
            network.head["egos.goal"] = [dice.randrange(num_goals) for _ in range(num_egos)]
        text = text_of(network, places, cars, facts)
        room = room_for(read(text))
        if room <= num_egos:
            continue
        kept = dice.choice((room, dice.randint(num_egos + 1, room)))
        text = text_of(network, places[:kept], cars, facts)
        level = read(text)
        assert room_for(level) == kept, text
        return text, level


def text_of(network: Network, places: list[tuple[int, int]], cars: list[str], facts: list[dict[str, Any]]) -> str:
    """The text of a network with cars on places."""
    sheet, head = network.sheet, dict(network.head)
    for (row, col), name, about in zip(places, cars, facts, strict=False):
        sheet.at(row, col).who = name
        if not name.startswith("E"):
            head |= about
    text = sheet.text(head)
    for row, col in places:
        sheet.at(row, col).who = ""
    return text


class Batch:
    """Levels side by side: their texts, maps and worlds, and options without dawdling of the road's own."""

    def __init__(self, texts: list[str], levels: list[Level], dawdle: float = 0.0) -> None:
        self.texts = texts
        begun_levels = [begun(level) for level in levels]
        self.maps = gathered(MAP, [maps for maps, _ in begun_levels])
        self.worlds = gathered(WORLD, [worlds for _, worlds in begun_levels]).copy()
        self.worlds["key_0"] = np.arange(len(texts))
        self.options = np.zeros(1, OPTIONS)
        self.options["has_idle"], self.options["top_speed"] = 1, 5
        self.options["num_egos"] = levels[0].num_egos
        self.options["dawdle"] = round(dawdle * 65536)
        self.options["more_dawdle"] = [round(more * dawdle * 65536) for more in (0.5, 0.0, -0.5)]


def draw_batch(dice: Random, num_levels: int, controls: tuple[int, ...], num_egos: int = 0) -> Batch:
    """So many levels."""
    drawn = [draw_level(dice, controls, num_egos) for _ in range(num_levels)]
    return Batch([text for text, _ in drawn], [level for _, level in drawn], dice.choice((0.0, 0.1, 0.3)))


def start_moving(batch: Batch) -> None:
    """Let all who are at rest begin as fast as they may, and still be able to stop."""
    frame = frame_of(batch.maps, batch.worlds, batch.options)
    for i in range(len(batch.worlds)):
        set_speeds(frame.argument, i)
