"""Commands of `portcall` in terminals, and what their screens show."""

import asyncio
import os
import pty
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .processes import WAIT_S, portcall


class Terminal:
    """A terminal of 80 columns with a command."""

    def __init__(self, hub: str, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            portcall(*arguments),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "PORTCALL_HUB": hub, "TERM": "xterm", "COLUMNS": "80"},
        )
        os.close(theirs)
        self._text = ""

    async def shows(self, words: str) -> None:
        """Wait until something was shown."""
        async with asyncio.timeout(WAIT_S):
            while words not in self._text:
                assert await self._read(), self._text

    async def screen(self) -> list[str]:
        """Wait for the end; return the lines that are to be seen then."""
        async with asyncio.timeout(WAIT_S):
            while await self._read():
                pass
            await asyncio.to_thread(self.process.wait)
        return shown(self._text)

    def close(self) -> None:
        """End it, if it has not ended."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    async def _read(self) -> bool:
        try:
            self._text += (await asyncio.to_thread(os.read, self._ours, 65_536)).decode()
        except OSError:  # the terminal was closed by all who had it
            return False
        return True


def shown(text: str) -> list[str]:
    """What a terminal shows of a text that moves up, to the first column, and clears lines."""
    lines: dict[int, str] = {}
    row = column = 0
    for found in re.finditer(r"\x1b\[\??(?P<count>[\d;]*)(?P<act>[A-Za-z])|(?P<plain>.)", text, re.DOTALL):
        match found["act"] or found["plain"]:
            case "A" if found["act"]:
                row -= int(found["count"])
            case "K" if found["act"]:
                lines[row] = ""
            case "\r":
                column = 0
            case "\n":
                row += 1
            case str(plain) if not found["act"]:
                line = lines.get(row, "").ljust(column)
                lines[row] = line[:column] + plain + line[column + 1 :]
                column += 1
    return [line.rstrip() for _, line in sorted(lines.items()) if line.strip()]


@contextmanager
def terminals(hub: str, *commands: Sequence[str]) -> Iterator[list[Terminal]]:
    """Start commands, each in a terminal of its own, with a hub at this address; none is left behind."""
    started: list[Terminal] = []
    try:
        started.extend(Terminal(hub, *command) for command in commands)
        yield started
    finally:
        for terminal in started:
            terminal.close()
