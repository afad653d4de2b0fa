"""`portcall token`: what it prints and which files it writes."""

import stat
from pathlib import Path

import pytest

from portcall.cli.main import run
from portcall.hub.tokens import parse_tokens
from portcall.wire.tokens import read_token_file


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["token", *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "roles", "name"),
    [
        ([], {"worker", "client"}, "line 1"),
        (["--role", "worker"], {"worker"}, "line 1"),
        (["--role", "client", "--role", "client", "--name", "the desk"], {"client"}, "the desk"),
    ],
)
def test_line_is_one_of_a_hub_s_file(
    capsys: pytest.CaptureFixture[str], arguments: list[str], roles: set[str], name: str
) -> None:
    (token,) = parse_tokens(printed(capsys, *arguments), "stdout", b"").values()
    assert {role.value for role in token.roles} == roles
    assert token.name == name


def test_each_is_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert len({printed(capsys) for _ in range(10)}) == 10


def test_files_of_both_sides_belong_together(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tokens, mine = tmp_path / "tokens", tmp_path / "mine"
    tokens.write_text("# the fleet's")
    printed(capsys, "--role", "worker", "--append", str(tokens))
    assert printed(capsys, "--append", str(tokens), "--out", str(mine)) == ""
    assert tokens.read_text().splitlines()[0] == "# the fleet's"
    assert len(parse_tokens(tokens.read_text(), "tokens", b"")) == 2
    assert read_token_file(mine) in tokens.read_text()
    assert stat.S_IMODE(mine.stat().st_mode) == 0o600


def test_token_alone_is_printed_for_who_shall_have_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    secret = printed(capsys, "--append", str(tokens)).strip()
    assert tokens.read_text() == f"worker,client {secret}\n"
    assert stat.S_IMODE(tokens.stat().st_mode) == 0o600


def test_file_that_is_there_is_not_overwritten(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("precious")
    assert run(["token", "--out", str(mine)]) == 2
    assert "is there already. Choose another file with --out" in capsys.readouterr().err
    assert mine.read_text() == "precious"


def test_places_that_cannot_be_written_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["token", "--out", f"{tmp_path}/no/where"]) == 2
    assert f"cannot write {tmp_path}/no/where: No such file or directory" in capsys.readouterr().err
    mine = tmp_path / "mine"
    assert run(["token", "--append", str(tmp_path), "--out", str(mine)]) == 2
    assert not mine.exists()
    assert f"cannot append to {tmp_path}: Is a directory" in capsys.readouterr().err


def test_file_that_is_no_text_is_left_as_it_is(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff")
    assert run(["token", "--append", str(binary)]) == 2
    assert f"cannot append to {binary}: it is not a text file" in capsys.readouterr().err
    assert binary.read_bytes() == b"\xff"


def test_name_that_the_file_could_not_hold_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["token", "--name", "x" * 81]) == 2
    assert "invalid value for '--name': " in capsys.readouterr().err
