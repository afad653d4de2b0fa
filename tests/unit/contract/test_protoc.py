"""What protoc says, and what becomes of it when it says nothing sensible."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from portcall.contract import protoc
from portcall.contract.installed import InstalledProtos
from portcall.contract.protoc import Severity, read_diagnostics, run_protoc
from portcall.contract.sources import Sources
from portcall.errors import PortcallError

LINKS = {"r0": Path("protos"), "r1": Path("od:d 3:4")}
ERROR, WARNING = Severity.ERROR, Severity.WARNING
NOTHING = Sources(roots=(), own_roots=frozenset(), names=("a.proto",), left_to_packages=())


@pytest.mark.parametrize(
    ("said", "severity", "path", "line", "words"),
    [
        ("r0/a/b.proto:3:7: Expected.", ERROR, "protos/a/b.proto", 3, "Expected."),
        ("r0/a.proto:3:7: warning: Unused.", WARNING, "protos/a.proto", 3, "Unused."),
        ("r1/a: 1:2.proto:3:7: x.proto:1:1: y", ERROR, "od:d 3:4/a: 1:2.proto", 3, "x.proto:1:1: y"),
        ("r0/a.proto: File not found.", ERROR, "protos/a.proto", 0, "File not found."),
        ("a.proto: No such file or directory", ERROR, "", 0, "a.proto: No such file or directory"),
        ("/x: warning: directory does not exist.", ERROR, "", 0, "/x: warning: directory does not exist."),
        ("W0000 00:00:17.5 12 parser.cc:659] No syntax.", WARNING, "", 0, "No syntax."),
        ("E0000 00:00:17.5 12 parser.cc:659] No sense.", ERROR, "", 0, "No sense."),
    ],
)
def test_line_is_read(said: str, severity: Severity, path: str, line: int, words: str) -> None:
    (found,) = read_diagnostics(f"{said}\n", LINKS)
    assert (found.severity, found.path, found.line, found.words) == (severity, path, line, words)


def test_what_is_said_twice_or_of_the_log_itself_is_left_out() -> None:
    said = "WARNING: All log messages before absl::InitializeLog() is called are\nr0/a.proto: x\n\nr0/a.proto: x\n"
    assert [found.words for found in read_diagnostics(said, LINKS)] == ["x"]


def ends(monkeypatch: pytest.MonkeyPatch, outcome: Any) -> None:
    def run(*_: object, **__: object) -> Any:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(protoc.subprocess, "run", run)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (subprocess.CompletedProcess([], -11, b"", b"ouch"), "protoc was killed by signal 11, and said: ouch"),
        (subprocess.CompletedProcess([], 0, b"", b""), "protoc has made nothing, and says: nothing"),
        (subprocess.TimeoutExpired([], 1), "protoc has not ended within 300 s"),
    ],
)
def test_compiler_that_fails_is_not_the_files_fault(monkeypatch: pytest.MonkeyPatch, outcome: Any, words: str) -> None:
    ends(monkeypatch, outcome)
    with pytest.raises(PortcallError, match=words):
        run_protoc(NOTHING, InstalledProtos(frozenset(), {}))
