"""docs/testing.md in a new folder: what it says to do, done; and what a test is told where something is missing."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def make_project(folder: Path) -> None:
    """The example, and the settings that the page has one make."""
    shutil.copytree(ROOT / "examples" / "crawler", folder, dirs_exist_ok=True)
    shell = re.search(r"^```sh\n(.*?)^```", (ROOT / "docs" / "testing.md").read_text(), re.MULTILINE | re.DOTALL)
    assert shell
    _, settings = shell[1].splitlines()
    subprocess.run(["sh", "-c", settings], cwd=folder, check=True)


def test_test_of_the_page_passes_with_the_settings_of_the_page(tmp_path: Path) -> None:
    make_project(tmp_path)
    done = run_pytest(tmp_path, "test_crawler.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(portcall_fleet):\n    pass\n")
    done = run_pytest(tmp_path, "-p", "no:asyncio")
    assert done.returncode == 1
    assert "portcall_fleet needs pytest-asyncio: pip install pytest-asyncio" in done.stdout
    assert "fixture 'portcall_fleet' not found" not in done.stdout
