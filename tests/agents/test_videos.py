"""Films have the pictures that they should, of the episode that was driven."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image
from scenario_facts import DRIVEN

from agents.environments import EnvChoice
from agents.random_agent import make_random
from agents.scripted import make_scripted
from agents.videos import record, record_episode, write_gif, write_mp4
from drivesim.render import palette, panel
from drivesim.render.film import LOWEST_PANEL, film, num_frames
from drivesim.render.frame import draw_frame
from drivesim.render.moment import Moment
from drivesim.replay import Replay, moments


@pytest.fixture(scope="module")
def drive() -> tuple[Replay, list[Moment]]:
    replay = Replay.of("drivesim/Highway-v1", {"num_vehicles": 3}, seed=3, actions=[3, 1, 0, 1, 2, 1, 1])
    return replay, list(moments(replay))


def frames_of(path: Path) -> np.ndarray:
    """All pictures of an MP4, decoded one by one, (N, height, width, 3)."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-fps_mode", "passthrough"]
    stream = subprocess.run([*command, "-f", "image2pipe", "-c:v", "ppm", "-"], capture_output=True, check=True).stdout
    frames = []
    while stream:
        magic, size, _, rest = stream.split(b"\n", 3)
        assert magic == b"P6"
        width, height = map(int, size.split())
        frames.append(np.frombuffer(rest[: width * height * 3], np.uint8).reshape(height, width, 3))
        stream = rest[width * height * 3 :]
    return np.stack(frames)


@pytest.mark.parametrize(("fps", "tps", "per_tick"), [(30.0, 5.0, 6), (12.0, 4.0, 3), (5.0, 5.0, 1)])
def test_mp4_decodes_to_the_right_number_of_frames(fps, tps, per_tick, drive, tmp_path):
    replay, shown = drive
    path = record(replay, shown, tmp_path / "film.mp4", size=320, frames_per_second=fps, ticks_per_second=tps)
    frames = frames_of(path)
    assert len(frames) == num_frames(len(replay.actions), per_tick, round(fps)) == 1 + 7 * per_tick + round(fps)
    assert frames.shape[1:] == (LOWEST_PANEL, 320 + panel.WIDTH, 3)
    moves = [(frames[n] != frames[n + 1]).any() for n in range(7 * per_tick)]
    assert sum(moves) >= 7 * per_tick - 2  # it moves all the time
    assert sorted(file.name for file in tmp_path.iterdir()) == ["film.mp4"]


def test_mp4_shows_the_pictures_that_were_written(tmp_path):
    rng = np.random.default_rng(0)
    pictures = [np.full((33, 47, 3), rng.integers(0, 255, 3), np.uint8) for _ in range(5)]  # odd sides are cut
    write_mp4(pictures, tmp_path / "a.mp4", 10)
    decoded = frames_of(tmp_path / "a.mp4")
    assert decoded.shape == (5, 32, 46, 3)
    for picture, frame in zip(pictures, decoded, strict=True):
        assert np.abs(frame.astype(int) - picture[0, 0]).mean() < 8


def test_gif_has_every_frame_at_its_pace(drive, tmp_path):
    replay, shown = drive
    path = record(replay, shown, tmp_path / "film.gif", size=320, frames_per_second=10, ticks_per_second=5, panel=False)
    with Image.open(path) as picture:
        assert picture.size == (320, 96)
        assert picture.info["loop"] == 0
        total = 0
        for n in range(picture.n_frames):
            picture.seek(n)
            total += picture.info["duration"]
    assert total == pytest.approx(100 * num_frames(7, 2, 10), abs=100)  # equal pictures may be joined


def test_gif_keeps_the_colour_of_the_ego(tmp_path, drive):
    picture = draw_frame(drive[1][2].state, size=320)
    write_gif([picture, picture[::-1]], tmp_path / "a.gif", 10)
    with Image.open(tmp_path / "a.gif") as shown:
        colours = np.asarray(shown.convert("RGB")).reshape(-1, 3).astype(int)
    assert (np.abs(colours - palette.EGO).max(axis=1) < 24).sum() > 10


def test_film_begins_with_the_first_world_and_ends_with_the_last(drive):
    shown = drive[1]
    frames = list(film(shown, frames_per_tick=4, size=400, hold=2))
    assert len(frames) == 1 + 7 * 4 + 2
    assert (frames[0] == draw_frame(shown[0].state, size=400)).all()
    for n, moment in enumerate(shown):
        assert (frames[4 * n] == draw_frame(moment.state, size=400)).all() or n == 0
    assert all((frame == frames[-1]).all() for frame in frames[-3:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": Path("film.avi")}, "path must end in one of"),
        ({"ticks_per_second": 0.0}, "ticks_per_second must be above 0"),
        ({"ticks_per_second": 31.0}, "at most frames_per_second"),
        ({"size": 10}, "size must be in"),
    ],
)
def test_what_cannot_be_filmed_is_refused(change, message, drive, tmp_path):
    replay, shown = drive
    arguments = {"path": tmp_path / "film.mp4", **change}
    with pytest.raises(ValueError, match=message):
        record(replay, shown, **arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("env_id", DRIVEN)
def test_an_episode_of_every_environment_becomes_replay_film_and_page(env_id, tmp_path):
    driver = make_scripted(env_id)
    config = EnvChoice(env=env_id, observation=driver.observation)
    paths = record_episode(driver, config, tmp_path, seed=5, driver="rules")
    assert [path.name for path in paths] == ["episode.json", "episode.gif", "episode.html"]
    replay = Replay.load(paths[0])
    assert replay.outcome["success"]
    with Image.open(paths[1]) as picture:
        assert picture.n_frames > len(replay.actions)
        assert max(picture.size) <= 400
    page = paths[2].read_text(encoding="utf-8")
    assert env_id in page
    assert "rules" in page


def test_an_environment_that_is_not_of_the_suite_leaves_no_film(tmp_path):
    assert record_episode(make_random(2, 0), EnvChoice(env="CartPole-v1"), tmp_path, seed=0, driver="random") == []
    assert list(tmp_path.iterdir()) == []


def test_a_film_that_breaks_off_leaves_no_file(tmp_path):
    def pictures():
        yield np.zeros((32, 32, 3), np.uint8)
        raise RuntimeError("the projector burns")

    for write, name in ((write_mp4, "a.mp4"), (write_gif, "a.gif")):
        with pytest.raises(RuntimeError, match="burns"):
            write(pictures(), tmp_path / name, 10)
    assert list(tmp_path.iterdir()) == []
