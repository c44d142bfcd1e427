"""Object code computes what numba's code and the plain interpreter do, needs nothing, and is known by its seal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import elf
import object_drives as drives
import pytest
from effort import effort
from llvmlite import binding as llvm
from object_files import AGAIN, build_again

from drivesim.build import bindings, entries
from drivesim.core import jit, prebuilt
from drivesim.core.object_code import require_whole
from drivesim.core.prebuilt import SealError
from drivesim.observations import ENCODERS
from drivesim.registry import ENTRIES, scenario_of

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def jobs_of(scenario: str) -> list[dict]:
    """Drives of a scenario; with all effort 8 x 12,600 steps, more than 10^5, with every observation."""
    road = scenario_of(scenario)
    kinds = [{"difficulty": difficulty} for difficulty in effort(("medium",), ("easy", "medium", "hard"))]
    kinds = kinds if road.generates_levels() else [{"levels": ("gallery/*",)}]
    how = {"num_worlds": 8, **effort({"steps": 25}, {"steps": 12_600 // len(kinds), "max_steps": 200})}
    seen = effort((road.observation,), tuple(ENCODERS))
    return [drives.job(scenario, observation, **how, **kind) for observation in seen for kind in kinds]


JOBS = [job for entry in ENTRIES for job in jobs_of(entry.name)]
# Runs tests with object code in a folder, and fails if any of them asks for numba.
GOLDEN = """
import sys
from pathlib import Path
import pytest
from drivesim.core import prebuilt

prebuilt.FOLDER = Path(sys.argv[1])
status = pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[2:]])
sys.exit(status or "numba" in sys.modules)
"""
NODE = shutil.which("node")
MAX_BYTES = 6_000_000


def python(*arguments: object, **environment: str) -> str:
    """What a program in a process of its own prints, which may load object code."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "DRIVESIM_PREBUILT": "1", **environment}
    command = [sys.executable, "-W", "error", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def answers(folder: Path | str, jobs: list[dict], path: Path, **environment: str) -> dict:
    """What `drives` prints."""
    (path / "jobs").write_text(json.dumps(jobs))
    return json.loads(python(HERE / "object_drives.py", folder, path / "jobs", **environment))


def compiled_answers(jobs: list[dict], path: Path) -> list[str]:
    """What numba's code answers; this process may have object code itself."""
    found = answers("", jobs, path, DRIVESIM_PREBUILT="0")
    assert found["has_numba"]
    return found["answers"]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> list[str]:
    """What numba's code answers to `JOBS`."""
    return compiled_answers(JOBS, tmp_path_factory.mktemp("compiled"))


@pytest.mark.slow
class TestForms:
    def test_object_code_drives_as_numba_does_and_loads_no_numba(self, objects, compiled, tmp_path) -> None:
        if not prebuilt.own_targets():
            pytest.skip("no object code is made for this machine")
        for target in prebuilt.own_targets():
            folder = tmp_path / target
            folder.mkdir()
            shutil.copy(prebuilt.path_of(target, objects), folder)
            assert answers(folder, JOBS, tmp_path) == {"answers": compiled, "has_numba": False}

    @pytest.mark.skipif(NODE is None, reason="needs Node.js")
    def test_webassembly_drives_as_numba_does(self, objects, compiled, tmp_path) -> None:
        for job, expected in zip(JOBS, compiled, strict=True):
            (tmp_path / "job").write_text(json.dumps(job))
            (tmp_path / "actions").write_bytes(drives.actions_of(job).tobytes())
            files = [objects / "wasm32.wasm", objects / "wasm32.json", tmp_path / "job", tmp_path / "actions"]
            command = [str(NODE), str(HERE / "host.mjs"), *map(str, files)]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert done.stdout.strip() == expected, job

    def test_under_an_emulator_64_bit_arm_drives_as_numba_does(self, objects, tmp_path) -> None:
        emulator = next(filter(None, map(shutil.which, ("qemu-aarch64", "qemu-aarch64-static"))), None)
        if emulator is None or find_spec("ziglang") is None:
            pytest.skip("needs the emulator qemu-aarch64, and the package ziglang")
        compiler = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-none", "-O1", "-ffreestanding"]
        options = ["-fno-stack-protector", "-nostdlib", "-static", "-o", str(tmp_path / "host")]
        subprocess.run([*compiler, *options, str(HERE / "emulated.c")], check=True, capture_output=True)
        jobs = [{**job, "num_worlds": 2, "keys": job["keys"][:2], "steps": effort(12, 60)} for job in JOBS]
        (tmp_path / "jobs").write_text(json.dumps(jobs))
        library = prebuilt.path_of("aarch64", objects)
        found = json.loads(python(HERE / "emulated.py", library, tmp_path / "jobs", emulator, tmp_path / "host"))
        assert found["calls"] >= 12 * len(jobs)
        assert not found["has_numba"]
        assert found["answers"] == compiled_answers(jobs, tmp_path)

    @pytest.mark.skipif(not prebuilt.own_targets(), reason="no object code is made for this machine")
    def test_object_code_answers_as_is_on_record(self, objects) -> None:
        tests = ROOT / "tests" / "core" / "test_golden.py"
        assert " passed" in python("-c", GOLDEN, objects, tests, "-k", "answers_as_recorded")

    def test_numbas_code_conforms_and_answers_as_is_on_record(self) -> None:
        tests = [ROOT / "tests" / name for name in ("core/test_golden.py", "envs/test_conformance.py")]
        assert " passed" in python("-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, DRIVESIM_PREBUILT="0")

    def test_the_interpreter_drives_as_numba_does(self, tmp_path) -> None:
        roads = ("LaneKeep", "grid"), ("Crosswalk", "features")
        jobs = [drives.job(*road, num_worlds=2, steps=12, difficulty="easy") for road in roads]
        found = answers("", jobs, tmp_path, NUMBA_DISABLE_JIT="1", DRIVESIM_PREBUILT="0")
        assert found["answers"] == compiled_answers(jobs, tmp_path)


class TestFiles:
    @pytest.mark.parametrize(
        ("target", "machine"), [("x86_64_v2", elf.X86_64), ("x86_64_v3", elf.X86_64), ("aarch64", elf.AARCH64)]
    )
    def test_a_library_has_every_kernel_that_is_called_from_outside_and_needs_nothing(
        self, objects, target, machine
    ) -> None:
        data = prebuilt.path_of(target, objects).read_bytes()
        assert len(data) <= MAX_BYTES
        library = elf.read(data)
        assert library == (machine, 0, set(entries()) | set(bindings()), set())

    def test_the_module_of_webassembly_is_small_and_its_description_fits(self, objects) -> None:
        assert prebuilt.path_of("wasm32", objects).stat().st_size <= MAX_BYTES
        about = json.loads((objects / "wasm32.json").read_text())
        assert about["bindings"] == list(bindings())
        assert set(about["entries"]) == {name for name in entries() if name.startswith("core.")}
        assert about["entries"]["core.batch.step_worlds"] == ["argument", "begin", "end", "slot"]
        assert list(about["scenarios"]) == [entry.name for entry in ENTRIES]

    def test_what_would_be_undefined_is_refused_by_name(self) -> None:
        module = llvm.parse_assembly("declare double @exp(double)\ndefine double @f(double %x) {\n ret double %x\n}\n")
        with pytest.raises(RuntimeError, match="exp"):
            require_whole(module)
        bound = llvm.parse_assembly("@numba.dynamic.globals.7f = global ptr null\n")
        with pytest.raises(RuntimeError, match="addresses of this process"):
            require_whole(bound)

    def test_two_builds_are_equal(self, objects, tmp_path) -> None:
        targets = effort((AGAIN,), prebuilt.TARGETS)
        again = objects / AGAIN
        if targets != (AGAIN,) or not prebuilt.path_of(AGAIN, again).exists():
            again = tmp_path
            build_again(again, targets)
        for name in (prebuilt.path_of(target).name for target in targets):
            assert (again / name).read_bytes() == (objects / name).read_bytes()


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder from which this process would load object code, asked anew in each test."""
    monkeypatch.setattr(prebuilt, "FOLDER", tmp_path)
    monkeypatch.setattr(prebuilt, "own_targets", lambda: ("x86_64_v3",))
    monkeypatch.setenv("DRIVESIM_PREBUILT", "1")
    prebuilt.library.cache_clear()
    yield tmp_path / "x86_64_v3.so"
    prebuilt.library.cache_clear()


class TestChoice:
    SEAL = prebuilt.Seal("x86_64_v3", bytes(32))

    def test_a_file_that_does_not_fit_is_not_used_which_is_said_once(self, shelf, capsys, monkeypatch) -> None:
        monkeypatch.setattr(prebuilt, "kernel_digest", lambda: bytes(32))
        whole = prebuilt.sealed(b"code", self.SEAL)
        for content, reason in (
            (prebuilt.sealed(b"code", prebuilt.Seal("aarch64", bytes(32))), "it is for aarch64"),
            (prebuilt.sealed(b"code", prebuilt.Seal("x86_64_v3", b"1" * 32)), "it was made of other sources"),
            (b"K" + whole[1:], "it is damaged"),
            (whole[:-1], "it is damaged"),
            (b"", "it is damaged"),
            (whole, ""),  # what the system's loader refuses
        ):
            shelf.write_bytes(content)
            prebuilt.library.cache_clear()
            for _ in range(2):
                assert prebuilt.library() is None
                assert jit.origin().startswith("compiled by numba")
            (line,) = capsys.readouterr().err.splitlines()
            assert f"{shelf} is not used: {reason}" in line
            assert "kernels are compiled" in line
            assert "`python -m drivesim build --target native` makes it anew" in line

    def test_after_a_file_that_does_not_fit_the_next_best_is_tried(self, shelf, capsys, monkeypatch) -> None:
        monkeypatch.setattr(prebuilt, "own_targets", lambda: ("x86_64_v3", "x86_64_v2"))
        monkeypatch.setattr(prebuilt, "kernel_digest", lambda: bytes(32))
        monkeypatch.setattr(prebuilt.ctypes, "CDLL", lambda path: path)
        second = prebuilt.path_of("x86_64_v2")
        shelf.write_bytes(b"damaged")
        second.write_bytes(prebuilt.sealed(b"code", prebuilt.Seal("x86_64_v2", bytes(32))))
        assert prebuilt.library() == ("x86_64_v2", str(second))
        assert capsys.readouterr().err == f"drivesim: {shelf} is not used: it is damaged; {second} is tried\n"
        second.write_bytes(b"damaged")
        prebuilt.library.cache_clear()
        assert prebuilt.library() is None
        first_line, second_line = capsys.readouterr().err.splitlines()
        assert f"{second} is tried" in first_line
        assert f"{second} is not used" in second_line
        assert "kernels are compiled" in second_line

    def test_without_a_file_or_if_it_is_switched_off_nothing_is_said(self, shelf, capsys, monkeypatch) -> None:
        assert prebuilt.library() is None
        shelf.write_bytes(b"")
        monkeypatch.setenv("DRIVESIM_PREBUILT", "0")
        prebuilt.library.cache_clear()
        assert prebuilt.library() is None
        assert capsys.readouterr().err == ""

    def test_every_bit_of_a_file_counts(self) -> None:
        whole = prebuilt.sealed(b"code", self.SEAL)
        assert prebuilt.unsealed(whole) == self.SEAL
        for n in range(len(whole)):
            with pytest.raises(SealError):
                prebuilt.unsealed(whole[:n] + bytes([whole[n] ^ 1]) + whole[n + 1 :])

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="files are for Linux")
    def test_the_processor_decides(self, monkeypatch) -> None:
        monkeypatch.setattr(prebuilt.platform, "machine", lambda: "x86_64")
        v2 = {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3", "fpu"}
        for flags, expected in (
            (v2 | {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"}, ("x86_64_v3", "x86_64_v2")),
            (v2, ("x86_64_v2",)),
            (v2 - {"popcnt"}, ()),
        ):
            monkeypatch.setattr(prebuilt, "_processor_flags", lambda flags=flags: flags)
            assert prebuilt.own_targets() == expected
        monkeypatch.setattr(prebuilt.platform, "machine", lambda: "riscv64")
        assert prebuilt.own_targets() == ()
