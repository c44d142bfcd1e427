"""A real window on a real (virtual) screen shows every environment. Needs Xvfb, from Debian's package xvfb."""

import os
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from effort import effort

from drivesim.registry import IDS
from drivesim.render import palette, panel

XVFB = shutil.which("Xvfb")
WIDTH, HEIGHT = 1280, 960

if XVFB is None and os.environ.get("DRIVESIM_REQUIRE_DISPLAY"):
    pytest.fail("DRIVESIM_REQUIRE_DISPLAY is set, but there is no Xvfb", pytrace=False)
pytestmark = pytest.mark.skipif(XVFB is None, reason="needs Xvfb: apt-get install xvfb")

PROGRAM = """
import pygame, sys
import gymnasium as gym
import drivesim

env = gym.make(sys.argv[1], render_mode="human")
env.reset(seed=0)
idle = env.unwrapped.action_names.index("SLOWER" if "autodrive" in sys.argv[1].lower() else "IDLE")
for _ in range(3):
    env.step(idle)
print(pygame.display.get_driver(), *env.unwrapped._renderer._window._desktop.surface.get_size(), flush=True)
sys.stdin.readline()
env.close()
"""


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    """A virtual screen: the number of its display, and the file in which it keeps its pixels."""
    folder = tmp_path_factory.mktemp("screen")
    reading, writing = os.pipe()
    command = [XVFB, "-displayfd", str(writing), "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-fbdir", str(folder)]
    server = subprocess.Popen([*command, "-nolisten", "tcp"], pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        number = pipe.readline().strip()
    yield f":{number}", folder / "Xvfb_screen0"
    server.terminate()
    server.wait()


def pixels_of(path):
    """The screen's pixels (height, width, 3), from a file in the format of xwd."""
    data = path.read_bytes()
    header = np.frombuffer(data[:100], ">u4")
    size, width, height, bytes_per_line, num_colours = header[0], header[4], header[5], header[12], header[19]
    start = int(size + 12 * num_colours)
    rows = np.frombuffer(data[start : start + int(bytes_per_line * height)], np.uint8).reshape(height, bytes_per_line)
    return rows.reshape(height, -1, 4)[:, :width, 2::-1]


# A field, a ring, a town and a level of a text: their pictures have all shapes. `test_window.py` runs every environment
# in a window that nobody sees, by the same code.
SHAPES = [f"drivesim/{name}-v1" for name in ("Autodrive", "Highway", "City", "Custom")]


@pytest.mark.parametrize("env_id", effort(SHAPES, IDS))
def test_every_environment_is_seen_on_the_screen(env_id, screen):
    display, path = screen
    environment = {name: value for name, value in os.environ.items() if name != "SDL_VIDEODRIVER"}
    program = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), env_id],
        env={**environment, "DISPLAY": display},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline().split() == ["x11", "1280", "720"]
        seen = pixels_of(path)
        assert seen.shape == (HEIGHT, WIDTH, 3)
        for colour, fewest in ((palette.EGO, 20), (palette.GRASS, 500), (panel.BACKGROUND, 5000)):
            assert (seen == colour).all(axis=2).sum() > fewest, colour
        program.communicate("\n")
    assert program.returncode == 0
    assert (pixels_of(path) == palette.EGO).all(axis=2).sum() == 0  # the window is gone
