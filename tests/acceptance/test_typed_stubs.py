"""Type checkers know what stubs give and take: `mypy --strict` and pyright on a user's project."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from .processes import Processes

TYPED = Path(__file__).with_name("typed")
TEXTMINE = Path(__file__).parents[2] / "examples" / "textmine"
EXPECTED = re.compile(r"# E: ([\w-]+)$")
FOUND = re.compile(r"^(\S+?):(\d+): error: .*\[([\w-]+)\]$", re.MULTILINE)


def mypy(folder: Path) -> tuple[str, ...]:
    return (sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(folder / "cache"))


@pytest.fixture
async def talk(processes: Processes, tmp_path: Path) -> Path:
    """A user's package, with compiled stubs and code that is right and wrong."""
    package = tmp_path / "talk"
    package.mkdir()
    (package / "__init__.py").touch()
    done = await processes.run("compile", str(TYPED), "--out", str(package / "protos"))
    assert done.code == 0, done.stderr
    for name in ("good.py", "bad.py"):
        shutil.copy(TYPED / name, package / name)
    return package


def expected(package: Path) -> set[tuple[str, int, str]]:
    """Where there have to be errors, and the code that mypy has for each."""
    return {
        (str(package / "bad.py"), number, match[1])
        for number, line in enumerate((TYPED / "bad.py").read_text().splitlines(), 1)
        if (match := EXPECTED.search(line))
    }


async def test_mypy_finds_what_is_wrong_and_nothing_else(processes: Processes, talk: Path, tmp_path: Path) -> None:
    checked = await processes.spawn(*mypy(tmp_path), str(talk), MYPYPATH=str(tmp_path))
    assert await checked.wait() == 1, checked.stderr
    found = {(path, int(line), code) for path, line, code in FOUND.findall(checked.stdout)}
    assert found == expected(talk), checked.stdout


async def test_pyright_finds_what_is_wrong_and_nothing_else(processes: Processes, talk: Path, tmp_path: Path) -> None:
    names = ("good.py", "bad.py")
    settings = {"typeCheckingMode": "strict", "include": [f"talk/{name}" for name in names]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = (sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(tmp_path))
    checked = await processes.spawn(*command)
    assert await checked.wait() == 1, checked.stdout + checked.stderr
    report = json.loads(checked.stdout)
    assert report["summary"]["filesAnalyzed"] == len(names)
    found = {(each["file"], each["range"]["start"]["line"] + 1) for each in report["generalDiagnostics"]}
    assert found == {(path, line) for path, line, _ in expected(talk)}, report["generalDiagnostics"]


async def test_example_passes(processes: Processes, tmp_path: Path) -> None:
    checked = await processes.spawn(*mypy(tmp_path), str(TEXTMINE), MYPYPATH=str(TEXTMINE))
    assert await checked.wait() == 0, checked.stdout
