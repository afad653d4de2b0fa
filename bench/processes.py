"""Child processes of a benchmark: started, waited for, measured, and always ended."""

import json
import os
import select
import subprocess
import sys
import tempfile
import time
import types
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from bench.loads import Load, LoadResult

ROOT = Path(__file__).resolve().parent.parent
READY_S = 30.0
ANSWER_S = 300.0
"""How long a child may take for one answer: far more than any load does."""

SAMPLE_S = 0.02


class ChildError(Exception):
    """A child process ended or fell silent. The message has the last that it wrote to its standard error."""


class Child:
    """One Python process, which says in a line of JSON that it is ready, and ends when its standard input does."""

    def __init__(self, *arguments: str) -> None:
        self.name = " ".join(arguments)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
        )
        self._unread = b""
        try:
            self.ready = self.expect(READY_S)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def rss_bytes(self) -> int:
        """Return how much memory the process has resident."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def read(self, timeout_s: float) -> dict[str, Any] | None:
        """Return the next line that the process wrote, or None if none came in time.

        Raises:
            ChildError: the process has ended.
        """
        assert self._process.stdout is not None
        until = time.monotonic() + timeout_s
        while b"\n" not in self._unread:
            left_s = until - time.monotonic()
            if left_s <= 0 or not select.select([self._process.stdout], [], [], left_s)[0]:
                return None
            piece = os.read(self._process.stdout.fileno(), 65_536)
            if not piece:
                raise ChildError(f"{self.name} has ended{self._last_words()}")
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer

    def expect(self, timeout_s: float) -> dict[str, Any]:
        """Return the next line that the process writes.

        Raises:
            ChildError: none came in time.
        """
        answer = self.read(timeout_s)
        if answer is None:
            raise ChildError(f"{self.name} said nothing for {timeout_s:g} s{self._last_words()}")
        return answer

    def close(self) -> None:
        """End the process. Idempotent."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._stderr.close()

    def _last_words(self) -> str:
        self._stderr.seek(0)
        words = self._stderr.read().decode(errors="replace").strip().splitlines()[-20:]
        return "; its last words:\n" + "\n".join(words) if words else ""


class Server(Child):
    """A process that serves, on a leash. `address` is where it listens, if it does."""

    def __init__(self, *arguments: str) -> None:
        super().__init__("bench.leash", *arguments)
        self.address = str(self.ready.get("address", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How the memory of a process changed while something else ran."""

    before_bytes: int
    peak_bytes: int

    @property
    def grown_mb(self) -> float:
        """Return by how much the process had grown at its largest."""
        return (self.peak_bytes - self.before_bytes) / 1e6


class Caller(Child):
    """A process that makes calls when told to."""

    def __init__(self, kind: str, address: str, *, module: str = "bench.calling") -> None:
        super().__init__(module, kind, address)

    def run(self, load: Load) -> LoadResult:
        """Make the calls of this load."""
        self._begin(load)
        return LoadResult(**self.expect(ANSWER_S))

    def run_beside(self, load: Load, watched: Child) -> tuple[LoadResult, Growth]:
        """Make the calls of this load, and look all the while how another process grows."""
        before = peak = watched.rss_bytes
        self._begin(load)
        answer = None
        until = time.monotonic() + ANSWER_S
        while answer is None:
            if time.monotonic() > until:
                raise ChildError(f"{self.name} was not done with {load} in {ANSWER_S:g} s")
            answer = self.read(SAMPLE_S)
            peak = max(peak, watched.rss_bytes)
        return LoadResult(**answer), Growth(before_bytes=before, peak_bytes=peak)

    def _begin(self, load: Load) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(load)).encode() + b"\n")
        self._process.stdin.flush()
