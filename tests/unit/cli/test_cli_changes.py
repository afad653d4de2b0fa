"""When a change on the disk is told: once, and when it is quiet."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from portcall.cli.changes import RESTLESS_LOOKS_MAX, Changes, Snapshot, take_snapshot

A, B, C = Path("a.py"), Path("b.py"), Path("c.py")


def at(**stamps: int) -> Snapshot:
    return {Path(f"{name}.py"): (stamp, 0, 0) for name, stamp in stamps.items()}


def told(first: Snapshot, *looks: Snapshot) -> list[set[Path]]:
    changes = Changes(first)
    return [set(changes.look(snapshot)) for snapshot in looks]


def test_nothing_new_tells_nothing() -> None:
    assert told(at(a=1), at(a=1), at(a=1)) == [set(), set()]


def test_change_is_told_once_at_the_next_quiet_look() -> None:
    assert told(at(a=1), at(a=2), at(a=2), at(a=2)) == [set(), {A}, set()]


def test_quick_changes_are_told_together() -> None:
    looks = [at(a=2, b=1), at(a=3, b=2), at(a=3, b=2, c=1), at(a=3, b=2, c=1)]
    assert told(at(a=1, b=1), *looks) == [set(), set(), set(), {A, B, C}]


def test_file_that_goes_is_a_change() -> None:
    assert told(at(a=1, b=1), at(a=1), at(a=1)) == [set(), {B}]


def test_change_that_is_taken_back_is_none() -> None:
    assert told(at(a=1), at(a=2), at(a=1), at(a=1)) == [set(), set(), set()]


def test_restless_disk_is_told_of_all_the_same() -> None:
    looks = [at(a=number) for number in range(2, RESTLESS_LOOKS_MAX + 3)]
    assert [bool(each) for each in told(at(a=1), *looks)].index(True) == RESTLESS_LOOKS_MAX - 1


def test_own_writing_is_excused_and_the_next_change_is_not() -> None:
    changes = Changes(at(a=1, b=1))
    changes.excuse(at(a=2))
    assert [changes.look(at(a=2, b=1)) for _ in range(2)] == [frozenset()] * 2
    assert [set(changes.look(at(a=3, b=1))) for _ in range(2)] == [set(), {A}]


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 2)), min_size=1))
def test_all_changes_are_told_in_the_end(stamps: list[dict[str, int]]) -> None:
    first, *rest = (at(**each) for each in stamps)
    changes = Changes(first)
    for snapshot in rest:
        changes.look(snapshot)
    last = rest[-1] if rest else first
    changes.look(last)
    changes.look(last)
    assert changes.look(last) == frozenset()


def test_snapshot_has_the_project_s_files_alone(tmp_path: Path) -> None:
    for name in ("a.py", "deep/b.py", "c.txt", ".hidden/d.py", "node_modules/e.py", "env/pyvenv.cfg", "env/f.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    first = take_snapshot([tmp_path, tmp_path / "gone"], ".py")
    assert set(first) == {tmp_path / "a.py", tmp_path / "deep/b.py"}
    os.utime(tmp_path / "a.py", ns=(1, 1))
    assert {path for path, stamp in take_snapshot([tmp_path], ".py").items() if first[path] != stamp} == {
        tmp_path / "a.py"
    }
