"""Where the file is found, and what it is read as."""

import os
from pathlib import Path

import pytest

from portcall.cli.settings.configuration import Configuration
from portcall.cli.settings.file import BYTES_MAX, find_file, read_file, shown_path
from portcall.errors import ConfigurationError


def test_nearest_file_is_found(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "portcall.toml").touch()
    assert find_file(None, inner) == tmp_path / "portcall.toml"
    (tmp_path / "a" / "portcall.toml").touch()
    assert find_file(None, inner) == tmp_path / "a" / "portcall.toml"
    (inner / "portcall.toml").mkdir()  # a folder is no file
    assert find_file(None, inner) == tmp_path / "a" / "portcall.toml"
    assert shown_path(tmp_path / "a" / "portcall.toml", inner) == "../portcall.toml"


def test_named_file_is_taken_from_here_and_nothing_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "portcall.toml").touch()
    assert find_file("prod.toml", tmp_path) == tmp_path / "prod.toml"
    assert find_file(str(tmp_path / "x.toml"), Path("/")) == tmp_path / "x.toml"
    assert find_file("", tmp_path) is None


@pytest.mark.parametrize(
    ("option", "variable", "named"),
    [(None, None, None), (None, "", ""), (None, "v", "v"), ("o", "v", "o"), ("", "v", "")],
)
def test_option_wins_over_the_variable(option: str | None, variable: str | None, named: str | None) -> None:
    assert Configuration(option, {} if variable is None else {"PORTCALL_CONFIG": variable}).named == named


def test_file_of_another_user_is_not_taken_unnamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    path = tmp_path / "portcall.toml"
    path.touch()
    real = Path.stat

    def stat(self: Path) -> os.stat_result:
        values = list(real(self))
        values[4] = 4711 if self == path else 1000
        return os.stat_result(values)

    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setattr(Path, "stat", stat)
    with pytest.raises(ConfigurationError, match=r"belongs to another user \(number 4711\).* Name it with --config"):
        find_file(None, here)
    assert find_file(str(path), here) == path
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    assert find_file(None, here) == path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"[hub]\nqueue-max 5\n", "x.toml, line 2, column 11: expected '=' after a key in a key/value pair"),
        (b"[hub", "x.toml, at its end: expected ']' at the end of a table declaration"),
        (b"[hub]\n[hub]\n", "x.toml, line 2, column 5: cannot declare"),
        (b"a = 1\n\nb = '\xff'\n", "x.toml, line 3: this is not UTF-8"),
        (b"a = " + b"[" * 20_000, "x.toml cannot be read as TOML: "),
        (b"a = " + b"1" * 10_000, "x.toml cannot be read as TOML: "),
        (b"#" * (BYTES_MAX + 1), "x.toml has more than 1 MiB, so it is no file of settings"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_what_is_no_toml_is_told_with_its_place(tmp_path: Path, text: bytes, words: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(text)
    with pytest.raises(ConfigurationError) as raised:
        read_file(path, "x.toml")
    assert str(raised.value).startswith(words)


def test_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^cannot read x\.toml: No such file or directory"):
        read_file(tmp_path / "x.toml", "x.toml")
    with pytest.raises(ConfigurationError, match=r"^cannot read here: Is a directory"):
        read_file(tmp_path, "here")
