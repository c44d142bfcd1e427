"""What is kept between runs: found again, never trusted blindly, never in the way."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from drivesim import cache

DATA = b"what was compiled"
is_posix = pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions are those of POSIX")


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """The user's cache folder; this process has not warned yet and has no temporary folder."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(cache, "_has_warned", False)
    monkeypatch.setenv("DRIVESIM_TEMPORARY_CACHE", "")  # set and not deleted, so that what tests set is undone
    monkeypatch.setenv("DRIVESIM_CACHE_DIR", str(tmp_path / "root"))
    return tmp_path / "root"


def test_what_was_kept_is_read_and_replaced(root) -> None:
    assert cache.read("kernels", "a") is None
    cache.keep("kernels", "a", DATA)
    cache.keep("kernels", "b", b"")
    assert cache.read("kernels", "a") == DATA
    assert cache.read("kernels", "b") == b""
    assert cache.read("threads", "a") is None
    cache.keep("kernels", "a", DATA + DATA)
    assert cache.read("kernels", "a") == DATA + DATA
    assert sorted(os.listdir(root / "kernels")) == ["a", "b"]
    assert cache.place("kernels") == root / "kernels"


def test_whatever_is_damaged_counts_as_missing_and_is_replaced(root) -> None:
    cache.keep("kernels", "a", DATA)
    path = root / "kernels" / "a"
    sound = path.read_bytes()
    cut_off = [sound[:size] for size in range(len(sound))]
    flipped = [sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :] for at in range(len(sound))]
    for damaged in (*cut_off, *flipped, sound + b"\0"):
        path.write_bytes(damaged)
        assert cache.read("kernels", "a") is None
    cache.keep("kernels", "a", DATA)
    assert cache.read("kernels", "a") == DATA


@is_posix
class TestFolders:
    def test_are_private(self, root) -> None:
        before = os.umask(0)
        try:
            cache.keep("kernels", "a", DATA)
        finally:
            os.umask(before)
        assert stat.S_IMODE(root.stat().st_mode) == 0o700
        assert stat.S_IMODE((root / "kernels").stat().st_mode) == 0o700

    @pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
    @pytest.mark.parametrize("folder", ["", "kernels"])
    def test_that_others_may_write_to_are_not_used(self, root, capsys, folder, mode) -> None:
        cache.keep("kernels", "a", DATA)
        (root / folder).chmod(mode)
        if mode == 0o1777 and not folder and os.getuid() == 0:
            assert cache.read("kernels", "a") == DATA  # as /tmp, where nobody can replace the folder of another
            return
        assert cache.read("kernels", "a") is None
        assert cache.place("kernels") is None
        cache.keep("kernels", "b", DATA)
        assert not (root / "kernels" / "b").exists()
        assert "others may write to" in capsys.readouterr().err

    @pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives folders away")
    @pytest.mark.parametrize("folder", ["", "kernels"])
    def test_that_belong_to_others_are_not_used(self, root, capsys, folder) -> None:
        cache.keep("kernels", "a", DATA)
        os.chown(root / folder, 12345, 12345)
        assert cache.read("kernels", "a") is None
        assert cache.place("kernels") is None
        assert "belongs to another user" in capsys.readouterr().err


@is_posix
class TestParents:
    """The folders above the cache: who owns one of them can put another cache in its place."""

    @pytest.fixture
    def deep(self, tmp_path, root, monkeypatch) -> Path:
        monkeypatch.setenv("DRIVESIM_CACHE_DIR", str(tmp_path / "a" / "b" / "root"))
        cache.keep("kernels", "a", DATA)
        assert cache.read("kernels", "a") == DATA
        return tmp_path

    def require_unused(self, capsys, reason) -> None:
        assert cache.read("kernels", "a") is None
        assert cache.place("kernels") is None
        cache.keep("kernels", "b", DATA)
        assert reason in capsys.readouterr().err

    @pytest.mark.parametrize("folder", ["a", "a/b"])
    @pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
    def test_that_others_may_write_to_are_refused_from_then_on(self, deep, capsys, folder, mode) -> None:
        (deep / folder).chmod(mode)
        self.require_unused(capsys, f"others may write to {deep / folder}")
        assert not (deep / "a" / "b" / "root" / "kernels" / "b").exists()

    @pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives folders away")
    @pytest.mark.parametrize("folder", ["a", "a/b"])
    def test_that_belong_to_others_are_refused_from_then_on(self, deep, capsys, folder) -> None:
        os.chown(deep / folder, 12345, 12345)
        self.require_unused(capsys, f"{deep / folder} belongs to another user")

    @pytest.mark.parametrize("folder", ["a", "a/b", "a/b/root", "a/b/root/kernels"])
    def test_that_are_links_are_refused(self, deep, capsys, folder) -> None:
        (deep / folder).rename(deep / "elsewhere")
        (deep / folder).symlink_to(deep / "elsewhere")
        self.require_unused(capsys, f"{deep / folder} is no folder, or a link")

    def test_that_belong_to_the_private_group_of_the_user_are_used(self, deep, monkeypatch) -> None:
        """Many systems let members of a folder's group write to it, and give every user a group of their own."""
        import grp
        import pwd
        from types import SimpleNamespace

        (deep / "a").chmod(0o775)
        group = (deep / "a").stat().st_gid + 1000
        status = os.stat_result([0o40775, 0, 0, 2, os.getuid(), group, *[0] * 4])
        lstat = Path.lstat
        monkeypatch.setattr(Path, "lstat", lambda path: status if path == deep / "a" else lstat(path))
        for members, name, is_used in (
            ([], "ann", True),
            (["ann"], "ann", True),
            (["bob"], "ann", False),
            ([], "staff", False),
        ):
            monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_name="ann", pw_gid=group))
            record = SimpleNamespace(gr_name=name, gr_mem=members)
            monkeypatch.setattr(grp, "getgrgid", lambda _, record=record: record)
            assert (cache.read("kernels", "a") == DATA) == is_used


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="links are those of POSIX")
def test_a_link_or_a_pipe_in_the_place_of_a_file_counts_as_missing_and_is_replaced(root, tmp_path) -> None:
    cache.keep("kernels", "a", DATA)
    (root / "kernels" / "a").rename(tmp_path / "a")
    (root / "kernels" / "a").symlink_to(tmp_path / "a")
    os.mkfifo(root / "kernels" / "b")
    assert cache.read("kernels", "a") is None
    assert cache.read("kernels", "b") is None
    before = (tmp_path / "a").read_bytes()
    cache.keep("kernels", "a", b"new")
    assert cache.read("kernels", "a") == b"new"
    assert (tmp_path / "a").read_bytes() == before
    assert stat.S_IMODE((root / "kernels" / "a").stat().st_mode) == 0o600


class TestPlace:
    @pytest.fixture(autouse=True)
    def home(self, root, tmp_path, monkeypatch) -> Path:
        monkeypatch.delenv("DRIVESIM_CACHE_DIR")
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.chdir(tmp_path / "temporary")
        return tmp_path / "home"

    def test_is_the_shared_cache_folder_if_that_is_absolute(self, tmp_path, monkeypatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
        assert cache.place("kernels") == tmp_path / "shared" / "drivesim" / "kernels"

    @pytest.mark.parametrize("shared", ["", "here", "./here"])
    def test_is_never_the_working_directory(self, home, monkeypatch, shared) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", shared)
        monkeypatch.setenv("DRIVESIM_CACHE_DIR", "")
        assert cache.place("kernels") == home / ".cache" / "drivesim" / "kernels"
        assert os.listdir() == []

    def test_is_that_of_the_working_directory_if_the_user_names_it_so(self, tmp_path, monkeypatch) -> None:
        monkeypatch.setenv("DRIVESIM_CACHE_DIR", "mine")
        assert cache.place("kernels") == tmp_path / "temporary" / "mine" / "kernels"

    @is_posix
    def test_is_temporary_for_a_user_without_home_and_name(self, tmp_path, monkeypatch, capsys) -> None:
        import pwd

        def nameless(uid):
            raise KeyError(uid)

        monkeypatch.setattr(pwd, "getpwuid", nameless)
        monkeypatch.delenv("HOME")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        assert cache.place("kernels") is None
        cache.keep("kernels", "a", DATA)
        assert cache.read("kernels", "a") == DATA
        assert Path(os.environ["DRIVESIM_TEMPORARY_CACHE"]).parent == tmp_path / "temporary"
        assert capsys.readouterr().err.splitlines() == [
            "drivesim: cannot keep files in ~/.cache/drivesim: this user has no home; "
            "DRIVESIM_CACHE_DIR names another place"
        ]


def test_a_file_in_the_place_of_the_folder_stops_nothing(root, capsys) -> None:
    root.write_text("")
    for name in "abc":
        assert cache.read("kernels", name) is None
        cache.keep("kernels", name, DATA)
        assert cache.read("kernels", name) == DATA  # from the temporary folder
    (line,) = capsys.readouterr().err.splitlines()  # once
    assert str(root / "kernels") in line
    assert "File exists" in line or "Not a directory" in line


def test_without_any_folder_everything_is_forgotten(root, monkeypatch) -> None:
    root.write_text("")
    monkeypatch.setattr(tempfile, "tempdir", str(root / "nowhere"))
    cache.keep("kernels", "a", DATA)
    assert cache.read("kernels", "a") is None


def test_a_closed_or_missing_standard_error_stops_nothing(root, monkeypatch) -> None:
    for stream in (None, open(os.devnull, "w")):  # noqa: SIM115
        if stream is not None:
            stream.close()
        monkeypatch.setattr(sys, "stderr", stream)
        cache.say("nobody hears this")


# --- processes ----------------------------------------------------------------------------------------------------

SHARING = """
import multiprocessing, os, subprocess, sys
from drivesim import cache

def read_and_keep(name):
    cache.keep("kernels", name, b"child")
    return cache.read("kernels", "a")

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # has no folder handed down, makes none
        assert pool.apply(read_and_keep, ("b",)) is None
    assert os.listdir(sys.argv[1]) == []
    cache.keep("kernels", "a", b"parent")
    assert len(os.listdir(sys.argv[1])) == 1
    for method in ("spawn", "fork"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.apply(read_and_keep, (method,)) == b"parent"
            pool.close()
            pool.join()
        assert cache.read("kernels", method) == b"child"  # and what was kept outlives the worker
    other = "from drivesim import cache; print(cache.read('kernels', 'a'))"
    assert subprocess.run([sys.executable, "-c", other], capture_output=True).stdout == b"b'parent'\\n"
    assert cache.read("kernels", "a") == b"parent"
"""


@is_posix
def test_the_temporary_folder_is_shared_with_workers_and_removed_by_its_maker(tmp_path) -> None:
    (tmp_path / "temporary").mkdir()
    (tmp_path / "root").touch()
    program = tmp_path / "program.py"
    program.write_text(SHARING)
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary"), "DRIVESIM_CACHE_DIR": str(tmp_path / "root")}
    environment["PYTHONPATH"] = str(Path(cache.__file__).parent.parent)
    subprocess.run([sys.executable, program, tmp_path / "temporary"], check=True, env=environment)
    assert os.listdir(tmp_path / "temporary") == []


WRITING = """
import sys
from drivesim import cache
number = int(sys.argv[1])
for size in range(1, 300):
    cache.keep("kernels", "a", bytes([number]) * 1000 * size)
    data = cache.read("kernels", "a")
    assert data and len(set(data)) == 1
"""


def test_processes_that_keep_the_same_file_do_not_damage_it(tmp_path) -> None:
    environment = {**os.environ, "DRIVESIM_CACHE_DIR": str(tmp_path)}
    environment["PYTHONPATH"] = str(Path(cache.__file__).parent.parent)
    commands = [[sys.executable, "-c", WRITING, str(number)] for number in range(3)]
    writers = [subprocess.Popen(command, env=environment) for command in commands]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert os.listdir(tmp_path / "kernels") == ["a"]
