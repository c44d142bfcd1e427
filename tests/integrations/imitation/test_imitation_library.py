"""The page on imitation, and its GAIL on the same demonstrations."""

import gc

import pytest
from docs_blocks import run_library_page

pytest.importorskip("imitation")

from imitation.algorithms.adversarial.gail import GAIL
from imitation.rewards.reward_nets import BasicRewardNet
from stable_baselines3 import PPO

from drivesim.integrations.stable_baselines3 import make_vec_env

LANE_KEEP = "drivesim/LaneKeep-v1"
# Of imitation's own: loggers that are never closed, and a loss that is made a number.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{warning}")
    for warning in ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning", "UserWarning", "DeprecationWarning")
]


@pytest.fixture(scope="module")
def page():
    names = run_library_page("imitation")
    yield names
    names.clear()
    gc.collect()  # now, while what its loggers leave open is ignored


def test_the_code_of_the_page_runs_and_shows_what_it_says(page) -> None:
    assert len(page["demonstrations"]) > 400


def test_gail_learns_on_a_batch_of_envs(page) -> None:
    envs = make_vec_env(LANE_KEEP, n_envs=8, seed=0, observation="features", difficulty="easy")
    driver = PPO("MlpPolicy", envs, n_steps=64, batch_size=64, device="cpu")
    learner = GAIL(
        demonstrations=page["demonstrations"],
        demo_batch_size=128,
        venv=envs,
        gen_algo=driver,
        reward_net=BasicRewardNet(envs.observation_space, envs.action_space),
        allow_variable_horizon=True,
    )
    learner.train(1024)
    assert driver.num_timesteps == 1024
