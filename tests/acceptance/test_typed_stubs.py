"""A type checker knows what stubs give and take: `mypy --strict` on a user's project."""

import re
import shutil
import sys
from pathlib import Path

from .processes import Processes

TYPED = Path(__file__).with_name("typed")
TEXTMINE = Path(__file__).parents[2] / "examples" / "textmine"
EXPECTED = re.compile(r"# E: ([\w-]+)$")
FOUND = re.compile(r"^(\S+?):(\d+): error: .*\[([\w-]+)\]$", re.MULTILINE)


def mypy(folder: Path) -> tuple[str, ...]:
    return (sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(folder / "cache"))


async def test_mypy_finds_what_is_wrong_and_nothing_else(processes: Processes, tmp_path: Path) -> None:
    package = tmp_path / "talk"
    package.mkdir()
    (package / "__init__.py").touch()
    done = await processes.run("compile", str(TYPED), "--out", str(package / "protos"))
    assert done.code == 0, done.stderr
    for name in ("good.py", "bad.py"):
        shutil.copy(TYPED / name, package / name)
    checked = await processes.spawn(*mypy(tmp_path), str(package), MYPYPATH=str(tmp_path))
    assert await checked.wait() == 1, checked.stderr
    expected = {
        (str(package / "bad.py"), number, match[1])
        for number, line in enumerate((TYPED / "bad.py").read_text().splitlines(), 1)
        if (match := EXPECTED.search(line))
    }
    found = {(path, int(line), code) for path, line, code in FOUND.findall(checked.stdout)}
    assert found == expected, checked.stdout


async def test_example_passes(processes: Processes, tmp_path: Path) -> None:
    checked = await processes.spawn(*mypy(tmp_path), str(TEXTMINE), MYPYPATH=str(TEXTMINE))
    assert await checked.wait() == 0, checked.stdout
