"""How a user's words for an app are read."""

from pathlib import Path

import pytest

from portcall.cli.apps import AppReference, parse_reference
from portcall.errors import ConfigurationError


@pytest.fixture
def here(tmp_path: Path) -> Path:
    package = tmp_path / "src" / "greet"
    package.mkdir(parents=True)
    for file in (tmp_path / "app.py", package / "__init__.py", package / "app.py", tmp_path / "src" / "solo.py"):
        file.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("text", "module", "attribute"),
    [("app", "app", "worker"), ("app:make", "app", "make"), ("greet.app:worker", "greet.app", "worker")],
)
def test_module_is_looked_for_here(here: Path, text: str, module: str, attribute: str) -> None:
    assert parse_reference(text, here) == AppReference(module=module, attribute=attribute, folder=here)


@pytest.mark.parametrize(
    ("text", "module", "attribute", "folder"),
    [
        ("app.py", "app", "worker", "."),
        ("./app.py:make", "app", "make", "."),
        ("src/solo.py:worker", "solo", "worker", "src"),
        ("src/greet/app.py", "greet.app", "worker", "src"),
    ],
)
def test_file_is_imported_from_the_folder_above_its_packages(
    here: Path, text: str, module: str, attribute: str, folder: str
) -> None:
    file = Path(text.partition(":")[0])
    expected = AppReference(module=module, attribute=attribute, folder=(here / folder).resolve(), file=file)
    assert parse_reference(text, here) == expected


def test_file_may_be_absolute(here: Path) -> None:
    reference = parse_reference(f"{here}/src/solo.py", Path("/"))
    assert (reference.module, reference.folder) == ("solo", here / "src")


@pytest.mark.parametrize(
    "text", ["", ":", ":worker", "app:", "app:a.b", "app:make()", ".app", "a..b", "app.py:", "a/b.py:1"]
)
def test_what_cannot_name_an_app_is_refused(here: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="does not name an app: it should be MODULE:OBJECT"):
        parse_reference(text, here)


@pytest.mark.parametrize("text", ["nope.py", "src/nope.py:worker", "src/greet", "src/greet:worker", "src/"])
def test_file_that_is_not_there_is_named(here: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="there is no Python file"):
        parse_reference(text, here)
