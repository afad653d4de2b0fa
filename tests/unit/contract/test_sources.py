"""Which files are meant by what a user writes, and by which names they import each other."""

from pathlib import Path

import pytest

from portcall.contract.installed import InstalledProtos
from portcall.contract.sources import find_sources
from portcall.errors import ConfigurationError

FILES = (
    "protos/a.proto",
    "protos/acme/v1/b.proto",
    "protos/vendor/other/c.proto",
    "protos/.git/x.proto",
    "protos/env/pyvenv.cfg",
    "protos/env/x.proto",
    "protos/node_modules/x.proto",
    "protos/notes.txt",
    "protos/empty/notes.txt",
    "more/d.proto",
    "twin/a.proto",
)

INSTALLED = InstalledProtos(frozenset({"google/rpc/status.proto"}), {})


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("paths", "includes", "names", "roots"),
    [
        ("protos", "", "a.proto acme/v1/b.proto vendor/other/c.proto", "protos"),
        ("protos/acme/v1", "", "b.proto", "protos/acme/v1"),
        ("protos/acme/v1", "protos", "acme/v1/b.proto", "protos"),
        ("protos/acme/v1/b.proto", "", "b.proto", "protos/acme/v1"),
        ("protos/acme/v1/b.proto", "protos", "acme/v1/b.proto", "protos"),
        ("protos more", "", "a.proto acme/v1/b.proto d.proto vendor/other/c.proto", "protos more"),
        ("protos/acme protos", "", "a.proto acme/v1/b.proto vendor/other/c.proto", "protos"),
        ("protos", "protos/vendor", "a.proto acme/v1/b.proto", "protos/vendor protos"),
        ("protos/vendor", "protos/vendor", "other/c.proto", "protos/vendor"),
        ("protos/env", "", "x.proto", "protos/env"),
        ("protos ./protos ../{here}/protos", "", "a.proto acme/v1/b.proto vendor/other/c.proto", "protos"),
    ],
)
def test_names_are_paths_below_a_root(tmp_path: Path, paths: str, includes: str, names: str, roots: str) -> None:
    given = [Path(path.format(here=tmp_path.name)) for path in paths.split()]
    found = find_sources(given, [Path(path) for path in includes.split()], INSTALLED)
    assert list(found.names) == names.split()
    assert [str(root) for root in found.roots] == roots.split()


def test_root_knows_what_is_its_own(tmp_path: Path) -> None:
    found = find_sources([Path("protos/a.proto")], [Path("protos"), Path("more")], INSTALLED)
    assert found.find("acme/v1/b.proto") == Path("protos/acme/v1/b.proto")
    assert found.is_own("acme/v1/b.proto")
    assert found.find("d.proto") == Path("more/d.proto")
    assert not found.is_own("d.proto")
    assert not found.is_own("nowhere.proto")


def test_link_to_a_file_is_a_file_of_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "protos/acme/link.proto").symlink_to(tmp_path / "more/d.proto")
    assert "acme/link.proto" in find_sources([Path("protos")], [], INSTALLED).names


@pytest.mark.parametrize(
    ("paths", "includes", "words"),
    [
        ("nope", "", "there is no 'nope'"),
        ("protos", "nope", "there is no 'nope'"),
        ("protos", "protos/a.proto", "'protos/a.proto' is not a folder; -I takes the folder that imports begin at"),
        ("protos/notes.txt", "", "'protos/notes.txt' is not a .proto file"),
        ("protos/empty", "", "there are no .proto files in protos/empty"),
        ("protos twin", "", "two files have the name 'a.proto': protos/a.proto and twin/a.proto. Rename one"),
        ("twin", "protos twin", "two files have the name 'a.proto': protos/a.proto and twin/a.proto. Rename one"),
    ],
)
def test_mistake_is_named(paths: str, includes: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        find_sources([Path(path) for path in paths.split()], [Path(path) for path in includes.split()], INSTALLED)
    assert str(raised.value).startswith(words)


def test_what_a_package_brings_is_left_to_it(tmp_path: Path) -> None:
    (tmp_path / "more/google/rpc").mkdir(parents=True)
    (tmp_path / "more/google/rpc/status.proto").touch()
    found = find_sources([Path("more")], [], INSTALLED)
    assert found.names == ("d.proto",)
    assert found.left_to_packages == ("google/rpc/status.proto",)
    assert not found.is_own("google/rpc/status.proto")
