"""Films of episodes: MP4, GIF, and a page with a player."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.environments import EnvChoice
from agents.gif import GifStream
from agents.policy import Policy
from agents.watching import watch
from drivesim.checks import whole
from drivesim.files import written
from drivesim.notebook import about_page
from drivesim.registry import ids
from drivesim.render.film import film
from drivesim.render.moment import Moment
from drivesim.render.page import write_page
from drivesim.render.panel import Panel
from drivesim.render.view import LARGEST_SIZE, SMALLEST_SIZE
from drivesim.replay import Replay
from drivesim.replay_file import config_of

__all__ = ["FORMATS", "pace", "record", "record_episode", "write_gif", "write_mp4"]

FORMATS = ("mp4", "gif", "html")
MAX_FRAMES_PER_SECOND = 240
_HOLD = 1.0  # seconds for which the end of an episode is shown
_CENTISECONDS = 100  # per second: a GIF counts its pauses in them


def write_mp4(frames: Iterable[NDArray[np.uint8]], path: Path, frames_per_second: float) -> None:
    """Writes a film as MP4 (H.264, as every browser plays it).

    Args:
        frames: uint8 (height, width, 3), of one size; sides are cut to even numbers of pixels, which the format needs.
        path: of the file, which appears when it is complete.
        frames_per_second: pace.
    """
    import imageio_ffmpeg

    first, frames = _first(frames)
    height, width = first.shape[0] // 2 * 2, first.shape[1] // 2 * 2
    folder = Path(tempfile.mkdtemp(prefix=".partial-", dir=path.parent))  # where nobody has put a link
    try:
        partial = folder / "film.mp4"
        writer = imageio_ffmpeg.write_frames(
            str(partial),
            (width, height),
            fps=frames_per_second,
            macro_block_size=2,
            quality=8,
            output_params=["-movflags", "+faststart"],
        )
        writer.send(None)
        try:
            for frame in frames:
                writer.send(np.ascontiguousarray(frame[:height, :width]))
        finally:
            writer.close()
        partial.replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_gif(
    frames: Iterable[NDArray[np.uint8]],
    path: Path,
    frames_per_second: float,
    *,
    num_colours: int = 96,
    sample: Sequence[NDArray[np.uint8]] | None = None,
) -> None:
    """Writes a film as a GIF that repeats for ever, with one palette, so that colours do not flicker.

    No more than two pictures are held at a time, however long the film is.

    Args:
        frames: uint8 (height, width, 3), of one size.
        path: of the file, which appears when it is complete.
        frames_per_second: pace, of which the nearest is taken that the format knows.
        num_colours: size of the palette, 2 to 255: fewer make a smaller file.
        sample: pictures of the film from which the palette is made; None takes the first, the middle and the last of
            a sequence, of other frames the first.
    """
    from PIL import Image

    if sample is None:
        sample = [frames[n] for n in (0, len(frames) // 2, -1)] if isinstance(frames, Sequence) else ()
    first, frames = _first(frames)
    # The octree keeps colours that cover few pixels, which is what cars have; dithering would crawl.
    sheet = Image.fromarray(np.concatenate([*sample] or [first]))
    palette = sheet.quantize(num_colours, method=Image.Quantize.FASTOCTREE)
    with written(path) as file:
        gif = GifStream(file, first.shape[1], first.shape[0], bytes(palette.getpalette() or ())[: 3 * num_colours])
        pause = max(2, round(_CENTISECONDS / frames_per_second))
        for frame in frames:
            picture = Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
            gif.add(np.asarray(picture), pause)
        gif.close()


def pace(frames_per_second: float, ticks_per_second: float) -> tuple[int, int]:
    """Pictures of every tick, and of an episode's end, which is shown for a second.

    Raises:
        ValueError: for an impossible pace.
    """
    if not 0 < ticks_per_second <= frames_per_second <= MAX_FRAMES_PER_SECOND:
        raise ValueError(
            "ticks_per_second must be above 0 and at most frames_per_second, and these at most "
            f"{MAX_FRAMES_PER_SECOND}, got {ticks_per_second} of {frames_per_second}"
        )
    return max(1, round(frames_per_second / ticks_per_second)), round(_HOLD * frames_per_second)


def record(
    replay: Replay,
    moments: Sequence[Moment],
    path: Path,
    *,
    driver: str = "",
    size: int = 720,
    frames_per_second: float = 30.0,
    ticks_per_second: float = 5.0,
    panel: bool = True,
    xray: bool = False,
) -> Path:
    """Writes an episode as a film or a page, by the suffix of the path.

    Args:
        replay: the episode.
        moments: its worlds, with the driver's decisions if there are any.
        path: of the file: .mp4, .gif or .html.
        driver: who drove, for the page.
        size: pixels along the longer side of the picture of the road, at most; a page fits its window.
        frames_per_second: pictures a second; a page draws as many as the screen shows.
        ticks_per_second: pace of the simulation, at most `frames_per_second`.
        panel: whether figures stand beside the road; a page always has them.
        xray: whether the cells that matter to the driver are tinted; on a page it is a box to tick.

    Returns:
        The path.

    Raises:
        ValueError: for another suffix or an impossible pace.
    """
    suffix = path.suffix[1:]
    if suffix not in FORMATS:
        raise ValueError(f"path must end in one of {[f'.{name}' for name in FORMATS]}, got {str(path)!r}")
    frames_per_tick, hold = pace(frames_per_second, ticks_per_second)
    size = whole("size", size, SMALLEST_SIZE, LARGEST_SIZE)
    config = config_of(replay.entry, dict(replay.options))
    if suffix == "html":
        about = about_page(replay, moments, driver or "unknown")
        write_page(path, moments, **about, ticks_per_second=ticks_per_second)
        return path

    def pictures(some: Sequence[Moment], frames_per_tick: int, hold: int) -> Iterator[NDArray[np.uint8]]:
        board = Panel(replay.env_id, config.actions, config.scenario_class.top_speed) if panel else None
        return film(some, frames_per_tick=frames_per_tick, size=size, hold=hold, xray=xray, panel=board)

    frames = pictures(moments, frames_per_tick, hold)
    if suffix == "mp4":
        write_mp4(frames, path, frames_per_second)
    else:
        sample = [next(pictures([moments[n]], 1, 0)) for n in (0, len(moments) // 2, -1)]
        write_gif(frames, path, frames_per_second, sample=sample)
    return path


def record_episode(policy: Policy, config: EnvChoice, folder: Path, *, seed: int, driver: str) -> list[Path]:
    """Drives one held-out episode and writes it to a folder: a replay, a GIF and a page.

    Args:
        policy: the driver.
        config: environment and options.
        folder: gets episode.json, episode.gif and episode.html.
        seed: of the env.
        driver: its name, for the page.

    Returns:
        The paths; none for an environment that is not of the suite, which has no replays.
    """
    if config.env not in ids():
        return []
    replay, moments = watch(policy, config, seed=seed, xray=True)
    paths = [folder / "episode.json", folder / "episode.gif", folder / "episode.html"]
    replay.save(paths[0])
    record(replay, moments, paths[1], size=400, frames_per_second=12.5, ticks_per_second=4.2, panel=False)
    record(replay, moments, paths[2], driver=driver)
    return paths


def _first(frames: Iterable[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], Iterable[NDArray[np.uint8]]]:
    """The first of some pictures, and all of them."""
    iterator = iter(frames)
    first = next(iterator)
    return first, itertools.chain([first], iterator)
