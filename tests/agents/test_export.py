"""Exported drivers: the network's numbers in every form, in files that stand alone."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional

from agents.export import numpy_operations as operations
from agents.export.int8 import quantise
from agents.export.numpy_form import NumpyForm, write_numpy
from agents.export.onnx_form import OnnxForm, write_onnx
from agents.export.tracing import Driver, output_axes, trace, weights_of
from agents.export.verification import Drives, Form, TorchForm, compare
from agents.networks import ActorCritic, NetworkConfig, PlaneEncoder, QNetwork
from agents.policy import NetworkPolicy
from agents.q_heads import HeadConfig
from drivesim.observations.entities import NUM_COLUMNS

NUM_ACTIONS = 5
FEATURES = gym.spaces.Box(-1.0, 1.0, (12,), np.float32)
CODES = gym.spaces.Box(0, 40, (4, 5), np.uint8)
WIDE_CODES = gym.spaces.Box(0, 300, (3, 3), np.int16)
PLANES = gym.spaces.Box(0, 255, (3, 9, 6), np.uint8)


def rows_space(num_columns: int) -> gym.spaces.Box:
    """Five rows, of which the last two are empty; the first column says so."""
    bounds = np.ones((5, num_columns), np.float32)
    bounds[3:] = 0.0
    return gym.spaces.Box(2 * bounds * (np.arange(num_columns) == 0) - bounds, bounds, dtype=np.float32)


ROWS, ENTITIES = rows_space(9), rows_space(NUM_COLUMNS)
QUANTILES = HeadConfig(dueling=True, returns="quantile", num_outputs=7)
NOISY_ATOMS = HeadConfig(dueling=True, noisy_std=0.5, returns="categorical", num_outputs=7, v_min=-2.0, v_max=3.0)


def q_network(space: gym.spaces.Box, head: HeadConfig | None = None, **config: Any) -> NetworkPolicy:
    return NetworkPolicy(QNetwork(space, NUM_ACTIONS, NetworkConfig(**config), head))


def actor_critic(space: gym.spaces.Box, *, masks: bool = False, **config: Any) -> NetworkPolicy:
    extra = {name: config.pop(name) for name in ("memory_size", "separate_critic") if name in config}
    network = ActorCritic(space, NUM_ACTIONS, NetworkConfig(**config), **extra)
    return NetworkPolicy(network, uses_action_masks=masks)


CASES: dict[str, tuple[gym.spaces.Box, Any]] = {
    "features": (FEATURES, lambda: q_network(FEATURES, hidden_sizes=(16, 8))),
    "tanh-memory": (FEATURES, lambda: actor_critic(FEATURES, activation="tanh", layer_norm=False, memory_size=6)),
    "codes": (CODES, lambda: q_network(CODES, hidden_sizes=(16,))),
    "wide-codes-critic-masks": (WIDE_CODES, lambda: actor_critic(WIDE_CODES, masks=True, separate_critic=True)),
    "planes": (PLANES, lambda: actor_critic(PLANES, hidden_sizes=(16, 16))),
    "planes-bfloat16": (PLANES, lambda: q_network(PLANES, hidden_sizes=(32, 16), first_layer="bfloat16")),
    "convolutions-quantiles": (PLANES, lambda: q_network(PLANES, QUANTILES, hidden_sizes=(8,), channels=(4, 6))),
    "residual-memory-masks": (
        PLANES,
        lambda: actor_critic(PLANES, masks=True, hidden_sizes=(8,), channels=(4, 6), residual=True, memory_size=5),
    ),
    "rows": (ROWS, lambda: actor_critic(ROWS, hidden_sizes=(16,), attention_width=8, attention_heads=2)),
    "entities": (ENTITIES, lambda: actor_critic(ENTITIES, hidden_sizes=(16,), attention_width=8, attention_heads=2)),
    "noisy-atoms": (FEATURES, lambda: q_network(FEATURES, NOISY_ATOMS, hidden_sizes=(16, 8))),
}


def unsettle(network: nn.Module) -> None:
    """Moves every parameter from its first value: zero biases and unit scales would hide what is left out."""
    torch.manual_seed(7)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)


def random_drives(policy: NetworkPolicy, space: gym.spaces.Box, num_steps: int, num_envs: int) -> Drives:
    """Random observations, both ends of the space among them, with the network's answers."""
    rng = np.random.default_rng(3)
    space.seed(3)
    obs = np.stack([[space.sample() for _ in range(num_envs)] for _ in range(num_steps)])
    obs[0, 0], obs[0, 1] = space.low, space.high
    starts = rng.random((num_steps, num_envs)) < 0.2
    masks = rng.random((num_steps, num_envs, NUM_ACTIONS)) < 0.5
    masks[..., 2] = True
    form, scores, actions = TorchForm(policy), [], []
    for t in range(num_steps):
        form.begin(starts[t])
        answers = form(obs[t], masks[t] if policy.uses_action_masks else None)
        scores.append(answers[0].copy())
        actions.append(answers[1])
    return Drives(obs, starts, masks if policy.uses_action_masks else None, np.stack(scores), np.stack(actions))


class Exported:
    """One case, traced."""

    def __init__(self, name: str) -> None:
        self.space, make = CASES[name]
        torch.manual_seed(0)
        self.policy: NetworkPolicy = make()
        unsettle(self.policy.network)  # type: ignore[arg-type]
        self.driver = Driver(self.policy)
        self.program = trace(self.driver, self.space, NUM_ACTIONS)
        self.drives = random_drives(self.policy, self.space, num_steps=6, num_envs=40)

    def numpy(self, path: Path, *, int8: bool = False) -> Path:
        write_numpy(path, self.driver, self.program, self.space, {"environment": "a test"}, int8=int8)
        return path

    def onnx(self, path: Path, *, int8: bool = False) -> Path:
        write_onnx(path, self.driver, self.program, {"environment": "a test"}, int8=int8)
        return path


@functools.cache
def export_of(name: str) -> Exported:
    """Traces once for all tests."""
    return Exported(name)


@pytest.fixture(params=CASES)
def exported(request: pytest.FixtureRequest) -> Exported:
    return export_of(request.param)


@pytest.fixture
def with_memory() -> Exported:
    return export_of("tanh-memory")


def assert_same(form: Form, exported: Exported) -> None:
    drives = exported.drives
    assert compare(form, drives).disagreements == 0
    scores = np.empty_like(drives.scores)
    form.begin()
    for t, obs in enumerate(drives.obs):
        form.begin(drives.starts[t])
        scores[t] = form(obs, None if drives.action_masks is None else drives.action_masks[t])[0]
    differences = np.abs(scores - drives.scores) / np.abs(drives.scores).max()
    # A sum on the edge between two bfloat16 numbers, which are 2^-8 apart, may fall to either; hardly any is.
    has_edges = exported.policy.network is export_of("planes-bfloat16").policy.network
    assert np.quantile(differences, 0.95 if has_edges else 1.0) <= 1e-5
    assert differences.max() <= 2**-8


def test_the_numpy_form_gives_the_networks_scores_and_actions(exported: Exported, tmp_path: Path) -> None:
    assert_same(NumpyForm(exported.numpy(tmp_path / "policy.py")), exported)


def test_the_onnx_form_gives_the_networks_scores_and_actions(exported: Exported, tmp_path: Path) -> None:
    assert_same(OnnxForm(exported.onnx(tmp_path / "policy.onnx")), exported)


def test_the_int8_file_holds_the_quantised_weights_and_computes_with_them(exported: Exported, tmp_path: Path) -> None:
    form = NumpyForm(exported.numpy(tmp_path / "policy_int8.py", int8=True))
    axes = output_axes(exported.program)
    assert axes
    for name, weight in weights_of(exported.program).items():
        held = form.policy._weights[name]
        assert held.dtype == weight.dtype
        assert (held == (quantise(weight, axes[name]).dequantise() if name in axes else weight)).all()
    agreement = compare(form, exported.drives)
    assert 0.5 < agreement.agreement <= 1.0
    assert 0.0 < agreement.max_score_difference < 0.2 * np.abs(exported.drives.scores).max()


@pytest.mark.parametrize("name", ["codes", "residual-memory-masks"])
def test_both_int8_forms_compute_with_the_same_weights(name: str, tmp_path: Path) -> None:
    exported = export_of(name)
    in_numpy = NumpyForm(exported.numpy(tmp_path / "policy_int8.py", int8=True))
    path = exported.onnx(tmp_path / "policy_int8.onnx", int8=True)
    tensors = {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}
    assert all(tensors[weight].data_type == onnx.TensorProto.INT8 for weight in output_axes(exported.program))
    drives, in_onnx = exported.drives, OnnxForm(path)
    for t, obs in enumerate(drives.obs):
        masks = None if drives.action_masks is None else drives.action_masks[t]
        np.testing.assert_allclose(in_onnx(obs, masks)[0], in_numpy(obs, masks)[0], rtol=0.0, atol=2e-5)


def test_no_weight_moves_by_more_than_half_a_step_and_each_output_has_its_own() -> None:
    rng = np.random.default_rng(0)
    weight = (rng.normal(size=(6, 5, 4)) * 10.0 ** np.arange(-3, 3)[:, None, None]).astype(np.float32)
    weight[2] = 0.0
    codes, scales = quantise(weight, axis=0)
    assert codes.dtype == np.int8
    assert scales.shape == (6, 1, 1)
    moved = np.abs(codes.astype(np.float64) * scales - weight)
    assert (moved <= scales * (0.5 + 1e-5)).all()
    largest = np.abs(codes).max(axis=(1, 2))
    assert largest.tolist() == [127, 127, 0, 127, 127, 127]  # the whole range is used
    # Hand-worked: scales are 2.54 / 127 = 0.02 and 1.27 / 127 = 0.01 for the columns.
    codes, scales = quantise(np.array([[2.54, -1.27], [0.029, 0.016]], np.float32), axis=1)
    assert codes.tolist() == [[127, -127], [1, 2]]
    np.testing.assert_allclose(scales, [[0.02, 0.01]], rtol=1e-6)


def test_the_numpy_file_needs_numpy_alone(with_memory: Exported, tmp_path: Path) -> None:
    path = with_memory.numpy(tmp_path / "policy.py")
    drives = with_memory.drives
    np.savez(tmp_path / "drives.npz", obs=drives.obs, starts=drives.starts)
    program = (
        "import sys; import numpy as np; before = set(sys.modules)\n"
        "for name in ('torch', 'drivesim', 'gymnasium', 'agents', 'onnxruntime', 'pickle'):\n"
        "    sys.modules[name] = None\n"  # an import of it fails
        "import policy\n"
        "drives = np.load('drives.npz'); driver = policy.Policy(); actions = []\n"
        "for obs, starts in zip(drives['obs'], drives['starts']):\n"
        "    driver.begin(starts); actions.append(driver(obs).tolist())\n"
        "import json; print(json.dumps([actions, sorted(set(sys.modules) - before)]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300
    )
    actions, modules = json.loads(answer.stdout)
    assert actions == drives.actions.tolist()
    standard = sys.stdlib_module_names | {"numpy", "policy"}
    assert {name.split(".")[0] for name in modules} <= standard | {"torch", "drivesim", "gymnasium", "agents"} | {
        "onnxruntime"
    }
    assert path.read_text().count("import") == 4  # __future__, base64, numpy, numpy.typing


def test_a_memory_that_is_not_begun_anew_is_kept(with_memory: Exported, tmp_path: Path) -> None:
    """Else a form could ignore its memory and still pass where it hardly matters."""
    for form in (
        NumpyForm(with_memory.numpy(tmp_path / "policy.py")),
        OnnxForm(with_memory.onnx(tmp_path / "policy.onnx")),
    ):
        obs = with_memory.drives.obs[0]
        first = form(obs, None)[0].copy()
        second = form(obs, None)[0].copy()
        assert np.abs(first - second).max() > 1e-3
        only = np.arange(len(obs)) == 4
        form.begin(only)
        third = form(obs, None)[0]
        np.testing.assert_allclose(third[4], first[4], atol=1e-6)
        assert (np.abs(third - first).max(axis=1) > 1e-6)[~only].any()
        form.begin()
        np.testing.assert_allclose(form(obs, None)[0], first, atol=1e-6)


def test_the_numpy_policy_refuses_observations_of_another_kind(with_memory: Exported, tmp_path: Path) -> None:
    policy = NumpyForm(with_memory.numpy(tmp_path / "policy.py")).policy
    with pytest.raises(ValueError, match=r"obs must be float32 \(B, \*\(12,\)\), got float64 \(2, 12\)"):
        policy(np.zeros((2, 12)))
    with pytest.raises(ValueError, match=r"got float32 \(12,\)"):
        policy(np.zeros(12, np.float32))
    policy(np.zeros((2, 12), np.float32))
    with pytest.raises(ValueError, match="the memory is that of 2 envs, got 3; call begin"):
        policy(np.zeros((3, 12), np.float32))


def test_masked_actions_are_never_chosen_and_scores_stay(tmp_path: Path) -> None:
    exported = export_of("wide-codes-critic-masks")
    policy = NumpyForm(exported.numpy(tmp_path / "policy.py")).policy
    obs = exported.drives.obs[0]
    only_three = np.arange(NUM_ACTIONS) == np.full((len(obs), 1), 3)
    assert (policy(obs, only_three) == 3).all()
    assert len(set(policy(obs).tolist())) > 1


def test_exports_repeat_byte_for_byte_and_name_nothing_of_this_machine(with_memory: Exported, tmp_path: Path) -> None:
    for write, suffix in ((with_memory.numpy, ".py"), (with_memory.onnx, ".onnx")):
        first = write(tmp_path / f"first{suffix}").read_bytes()
        assert first == write(tmp_path / f"second{suffix}").read_bytes()
        assert str(Path(torch.__file__).parent).encode() not in first
        assert str(Path(__file__).parents[2]).encode() not in first


def test_what_is_said_about_a_driver_cannot_become_code(with_memory: Exported, tmp_path: Path) -> None:
    path = tmp_path / "policy.py"
    about = {"run": '"""\nraise SystemExit(1)\n"""\\'}
    write_numpy(path, with_memory.driver, with_memory.program, with_memory.space, about)
    docstring = NumpyForm(path).policy.__class__.__module__
    assert docstring == "exported_policy"
    assert "'''/nraise SystemExit(1)" in path.read_text()


def test_tracing_leaves_the_policys_network_as_it_is() -> None:
    policy = CASES["planes-bfloat16"][1]()
    before = {name: tensor.clone() for name, tensor in policy.network.state_dict().items()}
    Driver(policy)
    assert policy.network.training
    assert isinstance(policy.network.body.encoder, PlaneEncoder)
    assert all(p.requires_grad for p in policy.network.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in policy.network.state_dict().items())


def test_an_operation_that_numpy_lacks_is_named(tmp_path: Path) -> None:
    class Sorting(nn.Module):
        def scores(self, obs: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
            return torch.cumsum(obs, dim=1), state

    driver = Driver(NetworkPolicy(Sorting()))
    program = trace(driver, FEATURES, 12)
    with pytest.raises(ValueError, match=r"computes aten\.cumsum\.default, which the numpy form lacks; it has \['aten"):
        write_numpy(tmp_path / "policy.py", driver, program, FEATURES, {})


def test_numpy_operations_equal_those_of_torch_at_their_edges() -> None:
    torch.manual_seed(1)
    x = torch.randn(5, 3, 7, 6)
    for weight, stride, padding in (
        (torch.randn(4, 3, 3, 2), (2, 1), (1, 0)),
        (torch.randn(2, 3, 1, 1), (1, 3), (0, 2)),
    ):
        bias = torch.randn(len(weight))
        expected = functional.conv2d(x, weight, bias, stride, padding)
        answer = operations.conv2d(x.numpy(), weight.numpy(), bias.numpy(), stride, padding)
        np.testing.assert_allclose(answer, expected, atol=1e-5)
    pooled = operations.max_pool2d(x.numpy() - 9.0, (3, 3), (2, 2), (1, 1))  # all negative: a border of 0 would win
    np.testing.assert_array_equal(pooled, functional.max_pool2d(x - 9.0, 3, 2, 1))
    logits = 200.0 * torch.randn(4, 3, 5)  # exp of these overflows
    np.testing.assert_allclose(operations.softmax(logits.numpy(), -1), torch.softmax(logits, -1), atol=1e-6)
    flat = 1e-3 * torch.randn(6, 9)  # of a variance below epsilon
    weight, bias = torch.randn(2, 9)
    expected = functional.layer_norm(flat, (9,), weight, bias, 1e-5)
    answer = operations.layer_norm(flat.numpy(), [9], weight.numpy(), bias.numpy(), 1e-5)
    np.testing.assert_allclose(answer, expected, atol=1e-5)
    cell = nn.GRUCell(4, 3)
    inputs, memory = 300.0 * torch.randn(6, 4), torch.randn(6, 3)
    arrays = [tensor.detach().numpy() for tensor in (inputs, memory, *cell.parameters())]
    np.testing.assert_allclose(operations.gru_cell(*arrays), cell(inputs, memory).detach(), atol=1e-6)
    table, rows = torch.randn(900, 64), torch.randint(900, (70, 300))  # several blocks
    expected = functional.embedding(rows, table).sum(1)
    np.testing.assert_allclose(operations.sum_of_rows(table.numpy(), rows.numpy()), expected, atol=1e-4)


def test_rounding_to_bfloat16_is_torchs_for_ties_and_every_magnitude() -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 0x7F00_0000, 100_000, dtype=np.uint32)
    halves = (bits & np.uint32(0xFFFF0000)) | np.uint32(0x8000)  # exactly between two
    signs = rng.integers(0, 2, 200_000).astype(np.uint32) << np.uint32(31)
    x = (np.concatenate([bits, halves]) | signs).view(np.float32)
    expected = torch.from_numpy(x).bfloat16().float().numpy()
    np.testing.assert_array_equal(operations.round_to_bfloat16(x), expected)


def test_a_difference_of_actions_is_a_tie_only_below_the_rounding_of_the_scores() -> None:
    scores = np.array([[[1.0, 2.0], [2.0, 2.0 - 1e-5], [-3.0, -3.0 - 2e-5], [0.5, 0.5 - 1e-4]]], np.float32)
    drives = Drives(np.zeros((1, 4, 1)), np.ones((1, 4), np.bool_), None, scores, scores.argmax(-1))

    class Other:
        def begin(self, starts: Any = None) -> None:
            pass

        def __call__(self, obs: Any, action_masks: Any) -> Any:
            return scores[0] + np.float32(0.25), np.array([1, 1, 1, 1])

    # Env 0 agrees; the gaps of envs 1 and 2 are 1e-5 of 2 and 2e-5 of 3, below 1e-5 of the score; env 3's is above.
    agreement = compare(Other(), drives)
    assert (agreement.agreement, agreement.ties, agreement.disagreements) == (0.25, 2, 1)
    assert agreement.max_score_difference == pytest.approx(0.25)
    masked = Drives(
        drives.obs, drives.starts, np.array([[[1, 1], [1, 0], [1, 1], [1, 1]]], np.bool_), scores, drives.actions
    )
    assert compare(Other(), masked).disagreements == 2  # a barred action is never a tie
