"""The line of a call, and what becomes of more calls than anybody can read."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from rich.console import Console

from portcall.cli.dev.lines import LINES_A_SECOND_MAX, Printer, call_line
from portcall.contract.contract import MethodKind
from portcall.hub.watching import EndedCall, Traffic

NOW = datetime(2026, 1, 2, 3, 4, 5, 67_890, tzinfo=UTC)
UNARY = MethodKind(client_streaming=False, server_streaming=False)
CLIENT_STREAM = MethodKind(client_streaming=True, server_streaming=False)
BIDI = MethodKind(client_streaming=True, server_streaming=True)


def call(
    kind: MethodKind | None = UNARY,
    *,
    status: int = 0,
    details: str = "",
    duration_s: float = 0.0012,
    requests: tuple[int, int] = (1, 14),
    replies: tuple[int, int] = (1, 21),
    caller: str = "ipv4:127.0.0.1:40000",
) -> EndedCall:
    return EndedCall(
        method="/greet.Greeter/SayHello",
        kind=kind,
        caller=caller,
        status=status,
        details=details,
        duration_s=duration_s,
        requests=Traffic(*requests),
        replies=Traffic(*replies),
    )


@pytest.mark.parametrize(
    ("ended", "rest"),
    [
        (call(), "unary          OK  1.2 ms  14 B -> 21 B  127.0.0.1:40000"),
        (
            call(status=5, details="no such\nname", replies=(0, 0)),
            "unary          NOT_FOUND  1.2 ms  14 B -> 0 B  127.0.0.1:40000  no such name",
        ),
        (
            call(CLIENT_STREAM, requests=(3, 4_500), duration_s=75, caller="ipv6:%5B::1%5D:7"),
            "client stream  OK  75.0 s  3 messages, 4.39 KiB -> 21 B  [::1]:7",
        ),
        (
            call(BIDI, requests=(0, 0), replies=(1, 5_000_000), caller="unix:"),
            "bidi stream    OK  1.2 ms  0 messages, 0 B -> 1 message, 4.77 MiB  unix:",
        ),
        (
            call(None, status=12, replies=(0, 0)),
            "unknown        UNIMPLEMENTED  1.2 ms  1 message, 14 B -> 0 messages, 0 B  127.0.0.1:40000",
        ),
        (call(status=99), "unary          status 99  1.2 ms  14 B -> 21 B  127.0.0.1:40000"),
    ],
)
def test_line_of_a_call(ended: EndedCall, rest: str) -> None:
    assert call_line(ended, NOW).plain == f"03:04:05.067  greet.Greeter/SayHello  {rest}"


class Stage:
    """A printer whose seconds end when the test says so."""

    def __init__(self, *, is_json: bool = False) -> None:
        self.out = io.StringIO()
        self._later: list[Callable[[], None]] = []
        self.is_closed = False
        screen = Console(file=self.out, width=200)
        self.printer = Printer(screen, lambda: NOW, self._call_later, self._close, is_json=is_json)

    def _call_later(self, _: float, run: Callable[[], None]) -> None:
        self._later.append(run)

    def _close(self) -> None:
        self.is_closed = True

    def end_second(self) -> None:
        (run,) = self._later
        self._later.clear()
        run()

    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()


def test_calls_beyond_what_can_be_read_are_counted() -> None:
    stage = Stage()
    for _ in range(LINES_A_SECOND_MAX + 1_200):
        stage.printer.call(call())
    stage.printer.call(call(status=14))
    assert len(stage.lines()) == LINES_A_SECOND_MAX
    stage.end_second()
    assert stage.lines()[-1] == "... and 1,201 calls more in this second: 1,200 OK, 1 UNAVAILABLE"
    stage.printer.call(call())
    stage.end_second()
    assert len(stage.lines()) == LINES_A_SECOND_MAX + 2


def test_programs_get_every_call_and_event() -> None:
    stage = Stage(is_json=True)
    printer = stage.printer
    printer.say("changed", "Changed: a.py", paths=["a.py"])
    printer.call(call(BIDI, status=5, details="no", requests=(2, 30)))
    printer.call(call(None))
    time = "2026-01-02T03:04:05.067+00:00"
    first, second, third = map(json.loads, stage.lines())
    assert first == {"event": "changed", "time": time, "paths": ["a.py"]}
    assert second == {
        "event": "call",
        "time": time,
        "method": "/greet.Greeter/SayHello",
        "kind": "bidi_stream",
        "status": "NOT_FOUND",
        "details": "no",
        "duration_ms": 1.2,
        "requests": 2,
        "request_bytes": 30,
        "replies": 1,
        "reply_bytes": 21,
        "caller": "ipv4:127.0.0.1:40000",
    }
    assert third["kind"] is None


@pytest.mark.parametrize("is_json", [False, True])
def test_reader_that_leaves_is_told_of_once_and_disturbs_no_call(
    is_json: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(_: str) -> None:
        raise BrokenPipeError

    def leave(_: Console) -> None:  # as rich does, which would close this process's stdout, too
        raise SystemExit(1)

    stage = Stage(is_json=is_json)
    monkeypatch.setattr(stage.out, "write", write)
    monkeypatch.setattr(Console, "on_broken_pipe", leave)
    stage.printer.call(call())
    assert stage.is_closed
    stage.is_closed = False
    stage.printer.call(call())
    assert not stage.is_closed
