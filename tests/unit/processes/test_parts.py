"""The small parts: the mark, the machine, the report."""

import os
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from portcall.cli.options import size
from portcall.cli.supervision import crew_rules, process_count
from portcall.errors import ConfigurationError
from portcall.protos.portcall.v1.link_pb2 import ProcessStatus
from portcall.worker.processes import CrewRules, SupervisorConfig
from portcall.worker.processes.effects import Vitals
from portcall.worker.processes.machine import can_measure_memory, resident_bytes, usable_cores
from portcall.worker.processes.mark import MARK_BYTES, Mark, create_file
from portcall.worker.processes.places import Member, Place
from portcall.worker.processes.reporting import STATES, is_same, report_of
from portcall.worker.processes.states import ProcessState


def test_a_mark_is_seen_by_all_who_have_its_file() -> None:
    file = create_file()
    written, read = Mark(file), Mark(file)
    os.close(file)
    assert read[0] == 0
    written[0] = 1 << 40
    assert read[0] == 1 << 40
    written.cell[0] = 7
    assert read[0] == 7


def test_a_mark_needs_no_memfd(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> int:
        raise OSError(name)

    monkeypatch.setattr(os, "memfd_create", refuse, raising=False)
    file = create_file()
    assert os.fstat(file).st_size == MARK_BYTES
    mark = Mark(file)
    os.close(file)
    mark[0] = 3
    assert mark[0] == 3


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "6400000 100000\n"}, 8),
        ({"cpu.max": "nonsense"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
    ],
)
def test_usable_cores_heed_affinity_and_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert usable_cores(tmp_path) == cores


@pytest.mark.skipif(not can_measure_memory(), reason="needs /proc")
def test_memory_is_measured() -> None:
    before = resident_bytes(os.getpid())
    held = b"x" * (64 << 20)
    assert resident_bytes(os.getpid()) - before > 32 << 20
    assert held


def test_the_memory_of_a_process_that_is_gone_is_unknown() -> None:
    assert resident_bytes(1 << 22) == 0


def member(state: ProcessState) -> Member:
    place = Place()
    place.restarts, place.last_end = 2, "was killed by SIGKILL"
    made = Member(1, place, now=10.0)
    made.pid, made.state = 4711, state
    made.vitals = Vitals(running=3, ended=40, rss_bytes=5_000)
    return made


def test_a_report_tells_all_of_a_process() -> None:
    [process] = report_of([member(ProcessState.BLOCKED)], now=12.5).processes
    assert process == ProcessStatus(
        pid=4711,
        state=ProcessStatus.STATE_BLOCKED,
        state_s=2.5,
        running=3,
        ended=40,
        rss_bytes=5_000,
        restarts=2,
        predecessor_end="was killed by SIGKILL",
    )


def test_every_state_of_a_process_that_has_not_ended_can_be_reported() -> None:
    assert set(STATES) == set(ProcessState) - {ProcessState.ENDED}


def test_time_that_has_passed_is_no_news() -> None:
    now, later = (report_of([member(ProcessState.READY)], now=at) for at in (20.0, 30.0))
    assert is_same(now, later)
    assert not is_same(now, report_of([member(ProcessState.BLOCKED)], now=20.0))
    assert not is_same(now, report_of([], now=20.0))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1", 1),
        ("512", 512),
        ("4K", 4_096),
        ("512M", 512 << 20),
        ("2g", 2 << 30),
        ("1TiB", 1 << 40),
        (" 3MB ", 3 << 20),
    ],
)
def test_sizes_are_read_with_their_units(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "0", "0M", "-1", "1.5G", "M", "5 M", "1P", "1i"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a size in bytes, as in 512M or 2G"):
        size(text)


def test_auto_is_as_many_processes_as_cores() -> None:
    assert process_count("auto") == process_count("AUTO") == usable_cores()
    assert process_count("3") == 3


GIVEN: Sequence[tuple[str, dict[str, object]]] = [
    ("--hang-limit", {"hang_limit": 1.0}),
    ("--max-memory", {"max_memory": 1}),
    ("--max-calls", {"max_calls": 1}),
    ("--blocked-after", {"blocked_after": 1.0}),
]
NOTHING: dict[str, object] = dict.fromkeys(("processes", "hang_limit", "max_memory", "max_calls", "blocked_after"))


@pytest.mark.parametrize(("name", "given"), GIVEN)
def test_what_only_a_supervisor_can_do_needs_one(name: str, given: dict[str, object]) -> None:
    with pytest.raises(click.UsageError, match=f"{name} needs --processes: only a supervisor can replace a process"):
        crew_rules(grace_s=1.0, **{**NOTHING, **given})  # type: ignore[arg-type]
    assert crew_rules(grace_s=1.0, **NOTHING) is None  # type: ignore[arg-type]


def test_options_make_rules_and_defaults_are_those_of_the_rules() -> None:
    assert crew_rules(grace_s=30.0, **{**NOTHING, "processes": 1}) == CrewRules()  # type: ignore[arg-type]
    assert crew_rules(
        processes=4, grace_s=1.0, hang_limit=0.0, max_memory=5, max_calls=6, blocked_after=7.0
    ) == CrewRules(processes=4, grace_s=1.0, hang_limit_s=0.0, memory_bytes_max=5, calls_max=6, blocked_after_s=7.0)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"processes": 0}, "a worker of 0 processes; it should be 1 to 512"),
        ({"processes": 513}, "a worker of 513 processes; it should be 1 to 512"),
        ({"blocked_after_s": 0.0}, "--blocked-after is 0; it must be above 0"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused(rules: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        SupervisorConfig(command=(), rules=CrewRules(**rules))  # type: ignore[arg-type]
