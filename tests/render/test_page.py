"""A page holds the episode that it was made of, safely and in few bytes."""

import base64
import io
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from episodes import ALL_ACTIONS, Random, action_names, read_page, record
from PIL import Image
from places import place_in

from agents.scripted import make_scripted
from drivesim.core.world import ABSENT
from drivesim.registry import IDS
from drivesim.render.canvas import Sprite
from drivesim.render.ground import level_of
from drivesim.render.moment import Decision
from drivesim.render.page import COLOURS, write_page
from drivesim.render.scene import Scene
from drivesim.render.sprites import sprite
from drivesim.render.state import State
from drivesim.render.tiles import ground_picture
from drivesim.render.view import view_of

OBSTACLES, HIGHWAY = "drivesim/Obstacles-v1", "drivesim/Highway-v1"
SHARES = (0.0, 0.1, 0.25, 0.4, 0.5, 0.75, 0.99, 1.0)


@pytest.fixture(scope="module")
def episode():
    """A whole episode with made-up decisions."""
    return record(OBSTACLES, seed=1, decides=True)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """By id: the moments of an episode and what its page holds."""
    found = {}
    for env_id in IDS:
        path = tmp_path_factory.mktemp("pages") / "page.html"
        moments = record(env_id, seed=2, max_steps=40)
        write_page(path, moments, action_names=action_names(env_id), title=env_id, cell=32)
        found[env_id] = moments, read_page(path)[2]
    return found


def write(path, moments, **changes):
    arguments = {"action_names": ALL_ACTIONS, "title": "An episode", "cell": 16, **changes}
    write_page(path, moments, **arguments)
    return path


def pieces_of(page):
    """The page's pieces by the names of their fields."""
    usual = page["fields"]
    return [dict(usual) | dict(zip(usual, values, strict=False)) for values in page["pieces"]]


def place(page, piece, share):
    """Where the page's script puts a piece."""
    part = share / page["middle"] if share < page["middle"] else (1 - share) / (1 - page["middle"])
    row = piece["row"] + piece["down"] * share + piece["row_bend"] * part
    return row, piece["col"] + piece["right"] * share + piece["col_bend"] * part


def direction(page, piece, share):
    """Where the page's script lets a piece head."""
    part = min(1.0, share / page["middle"])
    lean = piece["leans"] * math.sin(math.pi * part) if part < 1 else 0.0
    return piece["turn"] + piece["turns"] * part + lean


def pixels(address):
    """The picture that an address holds."""
    kind, _, content = address.partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(content, validate=True))) as image:
        return np.array(image)


def test_every_figure_of_every_tick_is_in_the_page(episode, tmp_path):
    facts = {"Environment": OBSTACLES, "Seed": "1"}
    path = write(tmp_path / "page.html", episode, facts=facts, ticks_per_second=3.5, title="Title")
    page = read_page(path)[2]
    assert page["title"] == "Title"
    assert page["actions"] == ALL_ACTIONS
    assert dict(page["facts"]) == facts
    assert page["ticks_per_second"] == 3.5
    assert len(page["ticks"]) == len(episode)
    for tick, moment in zip(page["ticks"], episode, strict=True):
        assert tick["tick"] == moment.world["tick"]
        assert tick["speed"] == moment.world["vehicles"]["speed"][0]
        assert tick["action"] == moment.action
        assert tick["reward"] == pytest.approx(moment.reward, abs=1e-6)
        assert tick["completion"] == pytest.approx(moment.completion, abs=1e-6)
        assert tuple(tick["events"]) == moment.events
        assert tick["terms"] == pytest.approx({k: v for k, v in moment.reward_terms.items() if v}, abs=1e-6)
        assert ("decision" in tick) == (moment.decision is not None)
        if moment.decision is not None:
            decision = tick["decision"]
            assert decision["scores"] == pytest.approx(moment.decision.scores, abs=1e-6)
            assert decision["value"] == pytest.approx(moment.decision.value, abs=1e-6)
            assert decision["is_probability"] is True
            assert [tuple(cell) for cell in decision["saliency"]] == [
                pytest.approx(cell, abs=1e-6) for cell in moment.decision.saliency
            ]
    assert "arrived" in page["ticks"][-1]["events"]


@pytest.mark.parametrize("env_id", IDS)
def test_pieces_move_as_in_every_other_picture(pages, env_id):
    moments, page = pages[env_id]
    pieces, before, looks = pieces_of(page), None, {}
    for moment, tick in zip(moments, page["ticks"], strict=True):
        scene = Scene(moment.state, before)
        before = moment.state
        assert len(tick["pieces"]) == len(scene.pieces)
        focus = pieces[tick["focus"]]
        for share in SHARES:
            assert place(page, focus, share) == pytest.approx(scene.focus(share), abs=1e-5)
        for number, wanted in zip(tick["pieces"], scene.pieces, strict=True):
            piece = pieces[number]
            for share in SHARES:
                assert place(page, piece, share) == pytest.approx(wanted.place(share), abs=1e-5)
                assert direction(page, piece, share) == pytest.approx(wanted.direction(share), abs=1e-5)
                ends = share >= 1 and piece["last_look"] >= 0
                look = piece["last_look"] if ends else piece["look"]
                assert looks.setdefault(look, wanted.look_at(share)) == wanted.look_at(share)
    assert len(set(looks.values())) == len(looks) <= len(page["looks"]) <= len(looks) + 1


@pytest.mark.parametrize("env_id", IDS)
def test_the_tiles_make_up_the_ground(pages, env_id):
    moments, page = pages[env_id]
    cell = page["cell"]
    tiles = pixels(page["tiles"]).reshape(page["num_tiles"], cell, cell, 3)
    rows, cols = page["rows"]["count"], page["cols"]["count"]
    ground = tiles[np.array(page["ground"])].reshape(rows, cols, cell, cell, 3).transpose(0, 2, 1, 3, 4)
    wanted = ground_picture(level_of(moments[0].state), cell)[: rows * cell, : cols * cell]
    assert np.array_equal(ground.reshape(rows * cell, cols * cell, 3), wanted)


def test_looks_are_the_sprites_with_their_opacity(pages):
    moments, page = pages[HIGHWAY]
    pieces, looks = pieces_of(page), {}
    for (before, after), tick in zip(itertools.pairwise(moments), page["ticks"][1:], strict=True):
        for number, piece in zip(tick["pieces"], Scene(after.state, before.state).pieces, strict=True):
            looks[pieces[number]["look"]] = piece.look
    assert len({look.kind for look in looks.values()}) >= 4
    for number, look in looks.items():
        told = page["looks"][number]
        wanted = sprite(page["cell"], look, 0.0)
        assert (told["top"], told["left"]) == (wanted.top, wanted.left)
        rgba = pixels(told["image"]).astype(np.float64)
        opacity = rgba[..., 3:] / 255
        for background in (0, 90, 255):
            laid = rgba[..., :3] * opacity + background * (1 - opacity)
            picture = np.full((*laid.shape[:2], 3), background, np.uint8)
            Sprite(0, 0, wanted.colour, wanted.through).lay_over(picture, 0, 0)
            assert np.abs(laid - picture).max() <= 2


@pytest.mark.parametrize("env_id", IDS)
def test_the_page_is_told_which_part_of_the_map_to_show(pages, env_id):
    moments, page = pages[env_id]
    for moment in moments:
        if moment.world["vehicles"]["status"][0] == ABSENT:
            continue
        view, (row, col) = view_of(moment.state), place_in(moment.state)
        for name, ego, first in (("rows", row, view.first_row), ("cols", col, view.first_col)):
            side = page[name]
            wanted = float(ego) - math.floor(side["ego"] * side["shown"])
            last = side["first"] + side["count"] - side["shown"]
            assert (wanted % side["period"] if side["period"] else min(max(wanted, side["first"]), last)) == first


def test_the_same_moments_make_the_same_bytes(tmp_path):
    first = write(tmp_path / "1.html", record(OBSTACLES, decides=False))
    second = write(tmp_path / "2.html", record(OBSTACLES, decides=False))
    assert first.read_bytes() == second.read_bytes()


def test_no_text_breaks_out_of_its_place(episode, tmp_path):
    nasty = "</script></title><script>alert(1)</script><!-- & \" ' {{episode}} \\ \u2028 é"
    names = [nasty, *ALL_ACTIONS[1:]]
    path = write(tmp_path / "page.html", episode[:3], title=nasty, facts={nasty: nasty}, action_names=names)
    texts, _, page = read_page(path)
    assert texts["title"] == [nasty]
    assert texts["h1"] == [nasty]
    assert len(texts["application/json"]) == len(texts["module"]) == 1
    assert set(texts) & {"alert", None, "text/javascript"} == set()
    assert "alert(1)" not in texts["module"][0]
    assert page["title"] == nasty
    assert page["facts"] == [[nasty, nasty]]
    assert page["actions"] == names


def test_the_page_refers_to_nothing_outside_itself(episode, tmp_path):
    texts, attributes, _ = read_page(write(tmp_path / "page.html", episode[:3]))
    addresses = [value for _, name, value in attributes if name in ("src", "href", "srcset", "action", "data")]
    assert addresses == ["data:,"]
    (policy,) = [value for tag, name, value in attributes if tag == "meta" and value.startswith("default-src")]
    assert policy.startswith("default-src 'none';")
    for text in (*texts["style"], *texts["module"]):
        assert not any(word in text for word in ("@import", "url(", "fetch(", "https:", "XMLHttpRequest"))


def test_the_style_takes_its_colours_from_the_palette(episode, tmp_path):
    texts = read_page(write(tmp_path / "page.html", episode[:2]))[0]
    style, script = texts["style"][0], texts["module"][0]
    for name, (red, green, blue) in COLOURS.items():
        assert f"--{name}:rgb({red},{green},{blue});" in style
        assert f"var(--{name})" in style or f'"--{name}"' in script


def test_forty_ticks_take_less_than_400_kilobytes(tmp_path):
    moments = record(OBSTACLES, driver=make_scripted(OBSTACLES, max_speed=1), max_steps=40, decides=True)
    assert len(moments) == 41
    path = tmp_path / "page.html"
    write_page(path, moments, action_names=ALL_ACTIONS, title="Forty ticks")
    assert path.stat().st_size < 400_000


@pytest.mark.parametrize("env_id", IDS)
def test_a_whole_episode_of_every_scenario_takes_less_than_400_kilobytes(env_id, tmp_path):
    path = tmp_path / "page.html"
    moments = record(env_id, decides=True)
    write_page(path, moments, action_names=action_names(env_id), title=env_id)
    assert path.stat().st_size < 400_000


def test_a_single_moment_makes_a_page(episode, tmp_path):
    page = read_page(write(tmp_path / "page.html", episode[:1]))[2]
    assert len(page["ticks"]) == 1
    page = read_page(write(tmp_path / "page.html", episode[4:6]))[2]
    assert [tick["tick"] for tick in page["ticks"]] == [4, 5]


def test_grave_events_are_told_from_others(pages, tmp_path):
    _, page = pages[OBSTACLES]
    assert {"collision", "at fault", "off road", "red light", "pedestrian hit"} <= set(page["grave_events"])
    assert page["good_events"] == ["arrived"]
    assert {"lane change", "harsh", "arrived"}.isdisjoint(page["grave_events"])
    moments = record(HIGHWAY, seed=1, driver=Random())
    last = read_page(write(tmp_path / "page.html", moments))[2]["ticks"][-1]["events"]
    assert set(last) & set(page["grave_events"])


def changed(moments, n, **changes):
    return [replace(moment, **changes) if k == n else moment for k, moment in enumerate(moments)]


def decided(moments, n, **changes):
    decision = replace(moments[n].decision, **changes)
    assert isinstance(decision, Decision)
    return changed(moments, n, decision=decision)


BAD = {
    "no moments": (lambda m: ([], {}), r"moments must hold at least one moment, got none"),
    "one twice": (
        lambda m: ([m[0], m[0]], {}),
        r"moments\[1\] must be one tick after moments\[0\].*got tick 0 .*tick 0",
    ),
    "a gap": (lambda m: ([m[0], m[2]], {}), r"moments\[1\] must be one tick after.*got tick 2 .*after tick 0"),
    "backwards": (lambda m: ([m[1], m[0]], {}), r"moments\[1\] must be one tick after"),
    "another episode": (lambda m: ([m[0], record(OBSTACLES, seed=5, max_steps=1)[1]], {}), r"in the same episode"),
    "another map": (lambda m: ([m[0], other_map(m[1])], {}), r"moments\[1\] must be on the map of moments\[0\]"),
    "no action": (lambda m: (changed(m, 1, action=None), {}), r"moments\[1\].action must be 0 … 4.*got None"),
    "action of no name": (lambda m: (changed(m, 2, action=5), {}), r"moments\[2\].action must be 0 … 4.*got 5"),
    "few names": (lambda m: (m, {"action_names": ALL_ACTIONS[:4]}), r"scores must be 4.*action_names, got 5"),
    "many names": (lambda m: (m, {"action_names": [*ALL_ACTIONS, "X"]}), r"scores must be 6.*action_names, got 5"),
    "no names": (lambda m: (m, {"action_names": []}), r"action_names must be a list of at least one name, got \[\]"),
    "a word": (lambda m: (m, {"action_names": "LEFT"}), r"action_names must be a list .* got 'LEFT'"),
    "reward": (lambda m: (changed(m, 1, reward=math.nan), {}), r"moments\[1\].reward must be finite, got nan"),
    "terms": (lambda m: (changed(m, 1, reward_terms={"a": math.inf}), {}), r"reward_terms must be finite, got inf"),
    "scores": (lambda m: (decided(m, 0, scores=(math.nan,) * 5), {}), r"moments\[0\].decision.scores must be finite"),
    "value": (lambda m: (decided(m, 1, value=-math.inf), {}), r"moments\[1\].decision.value must be finite, got -inf"),
    "weight": (lambda m: (decided(m, 1, saliency=((1, 1, 1.5),)), {}), r"weights in \[0, 1\], got \(1, 1, 1.5\)"),
    "no number": (lambda m: (decided(m, 1, saliency=((1, 1, math.nan),)), {}), r"got \(1, 1, nan\)"),
    "cell": (lambda m: (decided(m, 1, saliency=((1, 99, 1.0),)), {}), r"cells of the map of 64 x \d+ cells.*99"),
    "pace": (lambda m: (m, {"ticks_per_second": 0.0}), r"ticks_per_second must be a finite number above 0, got 0.0"),
    "no pace": (lambda m: (m, {"ticks_per_second": math.nan}), r"ticks_per_second must be a finite number .* got nan"),
    "small cells": (lambda m: (m, {"cell": 7}), r"cell must be 8 … 128 pixels, got 7"),
    "large cells": (lambda m: (m, {"cell": 129}), r"cell must be 8 … 128 pixels, got 129"),
}


def other_map(moment):
    map = moment.state.map.copy()
    map["ground"][int(moment.world["vehicles"]["cell"][0])] ^= 2
    return replace(moment, state=State(map, moment.world))


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_shown_is_refused_and_nothing_written(episode, tmp_path, name):
    change, message = BAD[name]
    moments, changes = change(episode[:4])
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "page.html", moments, **changes)
    assert not list(tmp_path.iterdir())
