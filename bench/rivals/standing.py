"""What the others need: environments, installed once; brokers and workers, started for a measurement, always ended."""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.processes import ROOT, ChildError
from bench.report import note

HERE = Path(__file__).parent
ENVIRONMENTS = ROOT / ".bench"
"""Where they are installed; may be removed at any time."""

START_S = 60.0
LOAD_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """Another way to have jobs done."""

    name: str
    packages: tuple[str, ...]
    module: str
    command: tuple[str, ...]
    """Runs its workers, with `{n}` processes."""

    needs_redis: bool = True
    jobs: int = 10_000
    """How many it is given in a round."""


RIVALS = (
    Rival(
        name="Celery, Redis",
        packages=("celery[redis]==5.*",),
        module="celery_app",
        command=("celery", "-A", "celery_app", "worker", "-c", "{n}", "--loglevel", "ERROR", "--without-gossip"),
    ),
    Rival(
        name="Dramatiq, Redis",
        packages=("dramatiq[redis]==1.*",),
        module="dramatiq_app",
        command=("dramatiq", "dramatiq_app", "--processes", "{n}", "--threads", "8"),
    ),
    Rival(
        name="Taskiq, Redis",
        packages=("taskiq==0.*", "taskiq-redis==1.*"),
        module="taskiq_app",
        command=("taskiq", "worker", "taskiq_app:broker", "--workers", "{n}"),
    ),
    Rival(
        name="Huey, SQLite with fsync",
        packages=("huey==2.*",),
        module="huey_app",
        command=("huey_consumer", "huey_app.huey", "-w", "{n}", "-k", "process", "-d", "0.001", "-q"),
        needs_redis=False,
        jobs=1_000,
    ),
)


def environment(rival: Rival) -> Path:
    """Return the folder of its commands; install them if they are not there."""
    folder = ENVIRONMENTS / rival.module
    if not (folder / "installed").exists():
        note(f"installing {', '.join(rival.packages)}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *rival.packages], check=True)
        (folder / "installed").touch()
    return folder / "bin"


def has_redis() -> bool:
    """Whether there is a Redis to compare with."""
    return shutil.which("redis-server") is not None


@contextmanager
def standing(rival: Rival, processes: int) -> Iterator["Standing"]:
    """Start what a rival needs."""
    commands = environment(rival)
    with tempfile.TemporaryDirectory() as folder:
        more = {"BENCH_SQLITE": f"{folder}/huey.db", "PYTHONPATH": str(HERE), "PYTHONWARNINGS": "ignore"}
        started: list[subprocess.Popen[bytes]] = []
        try:
            if rival.needs_redis:
                port = _free_port()
                more["BENCH_REDIS"] = f"redis://127.0.0.1:{port}/0"
                redis = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
                # As durable as it can be made, since that is what is compared: each write is flushed to the disk.
                started.append(_start([*redis, "--appendonly", "yes", "--appendfsync", "always"], {}))
                _wait_for(port)
            stand = Standing(rival, commands, more)
            words = [word.format(n=processes) for word in rival.command]
            started.append(_start([str(commands / words[0]), *words[1:]], more))
            yield stand
        finally:
            for process in reversed(started):
                process.terminate()
            for process in reversed(started):
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


@dataclass(frozen=True, slots=True)
class Standing:
    """A rival that is ready."""

    rival: Rival
    commands: Path
    environment: Mapping[str, str]

    def jobs_per_s(self, jobs: int, size: int) -> float:
        """Have so many jobs done; return how many each second."""
        return float(jobs / self._load(jobs, size)["seconds"])

    def latency_ms(self, jobs: int, size: int) -> tuple[float, float]:
        """Have jobs done one after the other; return the median and the 99th percentile."""
        times = sorted(self._load(jobs, size, "--one-by-one")["times"])
        return statistics.median(times) * 1e3, times[int(len(times) * 0.99)] * 1e3

    def _load(self, jobs: int, size: int, *more: str) -> dict[str, Any]:
        script = HERE / f"{self.rival.module}.py"
        done = subprocess.run(
            [self.commands / "python", script, "load", str(jobs), str(size), *more],
            env={**os.environ, **self.environment},
            cwd=HERE,
            capture_output=True,
            timeout=LOAD_S,
            check=False,
        )
        if done.returncode:
            raise ChildError(f"{self.rival.name} failed:\n{done.stderr.decode(errors='replace')[-2_000:]}")
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer


def _start(command: list[str], more: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command, env={**os.environ, **more}, cwd=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise ChildError(f"nothing listens on port {port}")
