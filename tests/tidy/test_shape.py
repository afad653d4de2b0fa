"""Sizes, names and docs of the source, as docs and code promise them."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import portcall

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "portcall"

FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 600
RATCHET = Path(__file__).with_name("ratchet.json")
"""Today's exceptions, by place and size. An entry may shrink or go; none may grow or come."""

FORBIDDEN_NAMES = {"utils", "util", "manager", "common", "helpers", "helper", "info", "data", "misc"}


def modules() -> Iterator[Path]:
    for path in sorted(SOURCE.rglob("*.py")):
        if not path.name.endswith(("_pb2.py", "_pb2_grpc.py")):
            yield path


@cache
def sizes() -> list[tuple[str, int, int]]:
    """Each module and function with its lines and its gate."""
    return list(_sizes())


def _sizes() -> Iterator[tuple[str, int, int]]:
    for path in modules():
        text = path.read_text()
        name = str(path.relative_to(SOURCE))
        yield name, len(text.splitlines()), MODULE_LINES_MAX
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                yield f"{name}:{node.name}", node.end_lineno - node.lineno + 1, FUNCTION_LINES_MAX


def test_nothing_outgrows_its_gate() -> None:
    allowed = json.loads(RATCHET.read_text())
    grown = {name: lines for name, lines, gate in sizes() if lines > allowed.get(name, gate)}
    assert not grown, f"too long; split them: {grown}"


def test_the_ratchet_only_shrinks() -> None:
    actual = {name: (lines, gate) for name, lines, gate in sizes()}
    stale = {
        name: lines
        for name, lines in json.loads(RATCHET.read_text()).items()
        if name not in actual or actual[name][0] < lines or actual[name][0] <= actual[name][1]
    }
    assert not stale, f"these have shrunk; lower or remove them in {RATCHET.name}: {stale}"


def test_names_say_what_a_module_holds() -> None:
    assert not [path for path in modules() if path.stem in FORBIDDEN_NAMES]


def test_every_package_says_what_it_owns() -> None:
    for path in SOURCE.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path.relative_to(ROOT)} has no docstring"


def test_public_names_are_documented() -> None:
    documented = set(re.findall(r"^### `(?:portcall\.)?(\w+)`", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE))
    assert documented == set(portcall.__all__) - {"__version__"}


def test_public_names_of_the_blocking_api_are_documented() -> None:
    documented = set(re.findall(r"^### `portcall\.sync\.(\w+)`", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE))
    assert documented == set(portcall.sync.__all__)


def test_repository_speaks_of_the_project_alone() -> None:
    places = re.compile(r"/wo" + r"rk/|/ro" + r"ot/|/ho" + r"me/\w")
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *modules()]:
        assert not places.search(path.read_text()), f"{path.relative_to(ROOT)} names a path of some machine"
