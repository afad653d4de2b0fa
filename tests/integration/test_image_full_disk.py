"""Builds on a disk that is full: one of memory, with a size of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk without any room; `grow` gives it some."""
    if os.geteuid():
        pytest.skip("mounts a disk, which root alone may")
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def grow(disk: Path, mebibytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={mebibytes}m", str(disk)], check=True)


def build(project: Path, base: Path, disk: Path) -> subprocess.CompletedProcess[str]:
    place = ["--base", f"oci:{base}", "--platform", "linux/amd64", "--cache", str(disk / "cache")]
    command = [
        sys.executable,
        "-m",
        "portcall",
        "image",
        "build",
        str(project),
        *place,
        "--output",
        str(disk / "image"),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_full_disk_is_said_at_every_stage_and_the_next_build_goes_on(
    project: Path, base_folder: Path, small_disk: Path, tmp_path: Path
) -> None:
    size, stages = 0, set()
    while (done := build(project, base_folder, small_disk)).returncode:
        assert done.returncode == 1, done.stderr
        (error,) = [line for line in done.stderr.splitlines() if "error:" in line]
        assert "the disk is full" in error
        assert "Make room and run this again" in error
        stages.add(error.partition("cannot ")[2].partition(".")[0].replace(str(small_disk), ""))
        assert not (small_disk / "image" / "index.json").exists()
        assert not list((small_disk / "cache").glob("partial/*"))
        size += 4
        grow(small_disk, size)
    assert stages == {"write /cache", "download wheels"}
    there = build(project, base_folder, tmp_path)
    assert there.stdout.splitlines()[:1] == done.stdout.splitlines()[:1], "as if there had been room all the time"
