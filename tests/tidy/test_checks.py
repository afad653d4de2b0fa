"""What the repository promises of itself, each check by the tool that is made for it."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CHECKS = {
    "lint": ["-m", "ruff", "check", "."],
    "format": ["-m", "ruff", "format", "--check", "."],
    "types": ["-m", "mypy"],
    "layers": ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"],
    "generated code": ["tools/generate.py", "--check"],
    "table of settings": ["tools/settings.py", "--check"],
    "diagrams": ["tools/diagrams.py", "--check"],
}


@pytest.mark.parametrize("name", CHECKS)
def test_check_passes(name: str) -> None:
    done = subprocess.run([sys.executable, *CHECKS[name]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{name}:\n{done.stdout}\n{done.stderr}"


def test_generated_code_runs_with_the_oldest_libraries_that_are_allowed() -> None:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    oldest = dict(re.findall(r"^([\w-]+)>=([\d.]+)", "\n".join(dependencies), re.MULTILINE))
    packaged = [*(ROOT / "src").rglob("*_pb2*.py"), *(ROOT / "examples").rglob("*_pb2*.py")]
    code = "\n".join(path.read_text() for path in packaged)
    assert set(re.findall(r"# Protobuf Python Version: ([\d.]+)", code)) == {oldest["protobuf"]}
