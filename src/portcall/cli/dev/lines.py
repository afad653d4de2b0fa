"""What `portcall dev` prints: for people a line for each call and each thing that happens, for programs JSON lines."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import grpc
from rich.console import Console
from rich.text import Text

from portcall.contract.contract import MethodKind
from portcall.hub.watching import EndedCall, Traffic

LINES_A_SECOND_MAX = 100
"""Calls beyond so many in one second are counted, and told of in one line."""

KINDS = {
    MethodKind(client_streaming=False, server_streaming=False): "unary",
    MethodKind(client_streaming=False, server_streaming=True): "server stream",
    MethodKind(client_streaming=True, server_streaming=False): "client stream",
    MethodKind(client_streaming=True, server_streaming=True): "bidi stream",
}
UNKNOWN_KIND = MethodKind(client_streaming=True, server_streaming=True)
THREE_DIGITS = 1_000
STATUSES = {code.value[0]: code.name for code in grpc.StatusCode}
OK = "OK"


class Printer:
    """Prints calls and what else happens.

    `later` calls a function after so many seconds; `on_closed` is called once there is nobody to print for.
    """

    def __init__(
        self,
        screen: Console,
        clock: Callable[[], datetime],
        later: Callable[[float, Callable[[], None]], object],
        on_closed: Callable[[], None],
        *,
        is_json: bool,
    ) -> None:
        self._screen = screen
        self._clock = clock
        self._later = later
        self._on_closed = on_closed
        self._is_closed = False
        self._is_json = is_json
        self._method_width = 0
        self._lines = 0
        self._untold: Counter[str] = Counter()

    def say(self, event: str, words: str, style: str = "", **values: Any) -> None:
        """Print something other than a call: in words to people, by name and values to programs."""
        if self._is_json:
            self._print_json(event, values)
        else:
            self._print(Text(words, style))

    def call(self, call: EndedCall) -> None:
        """Print a call, or count it if there are too many to read."""
        if self._is_json:
            self._print_json("call", call_values(call))
            return
        if not self._lines:
            self._later(1.0, self._end_second)
        self._lines += 1
        if self._lines > LINES_A_SECOND_MAX:
            self._untold[status_name(call.status)] += 1
            return
        self._method_width = max(self._method_width, len(call.method) - 1)
        self._print(call_line(call, self._clock(), self._method_width))

    def _end_second(self) -> None:
        self._lines = 0
        if self._untold:
            counts = ", ".join(f"{count:,} {status}" for status, count in self._untold.most_common())
            self._print(Text(f"... and {self._untold.total():,} calls more in this second: {counts}", "dim"))
            self._untold.clear()

    def _print_json(self, event: str, values: dict[str, Any]) -> None:
        now = self._clock().isoformat(timespec="milliseconds")
        self._print(Text(json.dumps({"event": event, "time": now, **values}, ensure_ascii=False)))

    def _print(self, line: Text) -> None:
        if self._is_closed:
            return
        try:
            self._screen.print(line, soft_wrap=True)
        except SystemExit:  # rich's way to say that the pipe is broken, which may be anywhere in the hub's work
            self._is_closed = True
            self._on_closed()


def call_line(call: EndedCall, now: datetime, method_width: int = 0) -> Text:
    """Return the line of a call: time, method, kind, status, duration, what went each way, caller."""
    kind = call.kind or UNKNOWN_KIND
    status = status_name(call.status)
    up = _traffic(call.requests, is_stream=kind.client_streaming)
    down = _traffic(call.replies, is_stream=kind.server_streaming)
    line = Text.assemble(
        (f"{now:%H:%M:%S}.{now.microsecond // 1000:03}", "dim"),
        f"  {call.method.removeprefix('/'):<{method_width}}",
        f"  {KINDS[call.kind] if call.kind else 'unknown':<13}  ",
        (status, "green" if status == OK else "bold red"),
        f"  {_duration(call.duration_s)}  {up} -> {down}",
        (f"  {_caller(call.caller)}", "dim"),
    )
    return line.append(f"  {' '.join(call.details.split())}", "red") if call.details else line


def call_values(call: EndedCall) -> dict[str, Any]:
    """Return a call for programs."""
    return {
        "method": call.method,
        "kind": KINDS[call.kind].replace(" ", "_") if call.kind else None,
        "status": status_name(call.status),
        "details": call.details,
        "duration_ms": round(call.duration_s * 1e3, 3),
        "requests": call.requests.message_count,
        "request_bytes": call.requests.message_bytes,
        "replies": call.replies.message_count,
        "reply_bytes": call.replies.message_bytes,
        "caller": call.caller,
    }


def status_name(status: int) -> str:
    """Return the name of a gRPC status."""
    return STATUSES.get(status, f"status {status}")


def _traffic(traffic: Traffic, *, is_stream: bool) -> str:
    count = traffic.message_count
    counted = f"{count} {'message' if count == 1 else 'messages'}, " if is_stream else ""
    return counted + _size(traffic.message_bytes)


def _size(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < THREE_DIGITS:
            return f"{size:.3g} {unit}"
        size /= 1_024
    return f"{size:.3g} GiB"


def _duration(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _caller(peer: str) -> str:
    return unquote(peer.removeprefix("ipv4:").removeprefix("ipv6:"))
