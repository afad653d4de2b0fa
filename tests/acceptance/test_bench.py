"""The benchmarks run. What they measure is theirs to say; no test times anything."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ROUTES = ["direct grpc.aio", "grpc.aio through the hub", "portcall.Channel"]
SUPERVISED = ["no supervisor", "--processes 1", "--processes 2"]
OVERLOAD = [
    ("1x its room", "hub's growth"),
    ("1x its room", "not done"),
    ("10x its room", "hub's growth"),
    ("10x its room", "done"),
    ("10x its room", "refused"),
    ("10x its room", "ended otherwise"),
]
SYNC_ROUTES = ["direct grpc", "grpc through the hub", "portcall.sync.Channel"]
SIDECAR = [*ROUTES[:2], "grpc.aio through hub and sidecar"]
JOBS = ["Portcall, 1 worker, fsync", "Portcall, 2 workers, fsync"]
ROWS = {
    "latency": [(route, figure) for figure in ("p50", "p99") for route in ROUTES],
    "unary": [(route, "rate") for route in ROUTES],
    "map": [(how, "rate") for how in ("direct grpc.aio, 100 at once", "map, 1 worker", "map, 2 workers")] * 2,
    "streams": [(route, "rate") for route in ROUTES] * 4,
    "processes": [(how, figure) for figure in ("p50", "rate", "rate", "rate") for how in SUPERVISED],
    "sync": [
        *[(route, figure) for figure in ("p50", "p99") for route in SYNC_ROUTES],
        *[(route, "rate") for route in (*SYNC_ROUTES, "portcall.sync.Channel, map")],
        *[(route, "rate") for route in SYNC_ROUTES],
    ],
    "sidecar": [(route, figure) for figure in ("p50", "rate", "rate") for route in SIDECAR],
    "links": [("grpc.aio server, idle streams", "resident"), ("hub, idle workers", "resident")],
    "slow-reader": [(route, "hub's growth") for route in ROUTES[1:]],
    "overload": OVERLOAD * 4,
    "jobs": [
        *[(how, figure) for figure in ("rate", "p50", "p99") for how in JOBS],
        *[("hub", figure) for figure in ("memory", "disk")],
    ],
}


@pytest.mark.timeout(400)  # half a minute on a machine that has nothing else to do
def test_every_row_is_there(tmp_path: Path) -> None:
    document, results = tmp_path / "performance.md", tmp_path / "results.json"
    shutil.copy(ROOT / "docs" / "performance.md", document)
    command = [sys.executable, "-m", "bench", "--quick", "--json", str(results), "--markdown", str(document)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    rows = json.loads(results.read_text())["rows"]
    found = {group: [(row["contender"], row["figure"]) for row in rows if row["group"] == group] for group in ROWS}
    assert found == ROWS
    assert all(row["values"] for row in rows)
    for row in rows:
        assert row["contender"] in done.stdout
        assert f"| {row['contender']} | {row['figure']} |" in document.read_text()

    page = document.read_text()
    assert str(tmp_path) not in page
    assert "`python -m bench --quick` on " in page
    # The same figures again, and nothing is measured.
    shutil.copy(ROOT / "docs" / "performance.md", document)
    again = [sys.executable, "-m", "bench", "--from", str(results), "--markdown", str(document)]
    assert subprocess.run(again, cwd=ROOT, capture_output=True, text=True, check=True).stdout == done.stdout
    assert document.read_text() == page
