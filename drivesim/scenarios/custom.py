"""Custom: levels given as texts."""

from dataclasses import dataclass
from pathlib import Path

from drivesim.core.batch import BY_LIBRARY
from drivesim.core.world import MAX_EGOS, TOP_SPEED
from drivesim.observations.encoder import Window
from drivesim.scenarios.scenario import LevelConfig, Scenario

LEVEL = Path(__file__).parents[1] / "levels" / "custom.txt"


@dataclass(frozen=True)
class CustomConfig(LevelConfig):
    """Level options of Custom: none, for a level says all of itself."""


class Custom(Scenario):
    """Drive levels of your own, given as texts or as files.

    ## Description
    A level is a text: a head of lines `key = value`, a blank line, and a table of words, one for each cell
    (`drivesim.levels.alphabet`, `drivesim.levels.head`). Levels of any scenario are such texts too: `level_text()` of
    every environment writes the one that it plays. Played here with the same seed and actions, it goes the same way,
    to the last bit.

    ```text
    speed_limit = 2
    a.top_speed = 1

    .   .  v   . .
    .   .  va1 . .
    ^>  |> *>v > >G0
    ^   .  v   . .
    ^E0 .  @v  . .
    ```

    Here `^` is a lane, `^>` a bend, `|>` the stop line of a signal, `*>v` a cell of a junction, `@v` a portal,
    `va1` a vehicle of class a at speed 1 on a lane, `E0` the ego, `G0` its goal.

    `levels=` takes a text (a string with a line break), a path, a pattern of paths such as `"roads/*.txt"`, whose files
    come in the order of their names, or a list of these. Where there is no such file, `"gallery/chicane"` is a level of
    `drivesim/levels/gallery`, which comes with the package, and `"gallery/*"` are all of them. Files are read once,
    when the environment is made; its spec and its replays hold the texts. With L levels, level n is the one of number n
    modulo L; n is drawn for every episode, from the first `num_levels` if that is given, and
    `reset(options={"level_seed": n})` plays it. All levels of one environment have the same number of egos, time limit
    and other options of the environment in their heads; their maps may differ in size. `difficulty` and `split` are
    refused: nothing is generated. Without `levels=` there is one level, with signals, a crosswalk and bends.

    What is wrong with a text is an error, a `ValueError`, that names line and column; so is a level in which traffic
    could stand for ever, an ego not arrive, or a walker leave the map.

    ## Actions
    `Discrete(5)`.

    | Num | Name   | Effect                                                                                  |
    |-----|--------|-----------------------------------------------------------------------------------------|
    | 0   | LEFT   | where the cell allows it, at speed 0 or 1: quarter turn, then one cell; else one cell sideways |
    | 1   | IDLE   | hold speed and heading                                                                  |
    | 2   | RIGHT  | the same to the right                                                                   |
    | 3   | FASTER | speed + 1, at most 5                                                                    |
    | 4   | SLOWER | speed - 1, at least 0                                                                   |

    With `has_idle = 0` in the head there is no IDLE, as in Autodrive.

    ## Observations
    `observation="grid"` (default): `Box(0, 255, (13, 23, 13), uint8)`, a window of 12 cells ahead, 10 behind and 6 to
    either side. `"full_grid"` is as large as the largest map; beyond a smaller one it is off the road.

    ## Rewards
    `reward="route"`: the share of the route gained in this tick (1 in total), times 0.5 above the speed limit, times
    0.9 when the acceleration changes by 2, and the other factors where a level has what they are for; - 0.4 over the
    whole time limit, shared among its ticks; + 1 on arrival, - 1 on a collision or for leaving the road.

    ## Starting state
    That of the text.

    ## Episode end
    1. Termination: arrived.
    2. Termination: off the road.
    3. Termination: collision with a vehicle, an obstacle or a pedestrian.
    4. Truncation: after 1000 steps.

    A level's own time limit, `max_steps`, from 1 to 1000, cuts earlier; `max_episode_steps` may cut earlier still, but
    not later.

    ## Info
    The keys of `drivesim.core.episode.EPISODE`; `success` means arrived, and on a lane of several cells with a mean
    |offset| of at most half the way from its centre to its edge.

    ## Arguments
    | Name         | Type | Default      | Unit | Meaning                                                             |
    |--------------|------|--------------|------|---------------------------------------------------------------------|
    | `difficulty` | str  | `"medium"`   |      | refused, if it is anything else                                     |

    `levels`, see above, and those of every environment, see `drivesim.env.DriveEnv`. `traffic` and `dawdle` replace
    what the head says.

    ## Version history
    * v1: first release.
    """

    config = CustomConfig
    presets = {"easy": CustomConfig(), "medium": CustomConfig(), "hard": CustomConfig()}
    maps_by = BY_LIBRARY
    level = LEVEL.read_text(encoding="utf-8")
    window = Window(ahead=12, behind=10, beside=6)
    speed_limit = TOP_SPEED
    max_egos = MAX_EGOS
