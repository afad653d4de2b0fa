"""`portcall demo`: what it shows and writes, and that none of its processes outlives it."""

import asyncio
import json
import re
import sys
from pathlib import Path

import psutil
import pytest

from .processes import Process, Processes, portcall

TEXTS = {
    "harbour.txt": "The harbour has cranes. Cranes lift cargo from the ships in the harbour.",
    "ships.md": "# Ships\n\nShips carry cargo to every harbour; a ship without cargo carries ballast.",
    "page.html": "<html><style>.hidden {}</style><h1>Pilots</h1><p>A pilot guides ships into the harbour.</p></html>",
    "news/항만.txt": "정부는 새로운 항만 정책을 발표했다. 항만의 크레인은 화물을 배에서 내린다.",
    "news/정책.html": "<html><body><p>항만 정책은 화물과 선박의 안전을 다룬다.</p></body></html>",
    "code/crane.py": "def lift(cargo, crane):\n    return crane.lift(cargo.weight)\n",
    "old.txt": "선박의 화물".encode("cp949"),
    "picture.txt": b"\x89PNG\0\1\2",
}

CHILDREN = ("Hub on \\S+", "Worker 1", "Worker 2")

COLOUR = re.compile(r"\x1b\[[\d;]*\b[34][0-8]\b[\d;]*m")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    for name, text in TEXTS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


async def children_of(demo: Process) -> dict[str, psutil.Process]:
    """Return the demo's processes by name, once it has said that it started them."""
    lines = [await demo.line(rf"^({name}): process (\d+)$") for name in CHILDREN]
    return {match[1].split(" on ")[0].lower(): psutil.Process(int(match[2])) for match in lines}


def descendants(mark: Path) -> list[psutil.Process]:
    """Return all processes that live and were started, at whatever remove, with this mark in their environment."""
    return [process for process in psutil.process_iter() if _environment(process).get("DEMO_MARK") == str(mark)]


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


async def test_mines_documents_with_all_workers(processes: Processes, texts: Path, tmp_path: Path) -> None:
    demo = await processes.start("demo", "--input", str(texts), folder=tmp_path, DEMO_MARK=str(tmp_path))
    children = await children_of(demo)
    assert await demo.wait() == 0
    assert demo.stderr == ""
    assert not descendants(tmp_path)

    out = tmp_path / "portcall-demo"
    result = json.loads((out / "result.json").read_text())
    assert {document["id"] for document in result["documents"]} == set(TEXTS) - {"picture.txt"}
    assert result["unmined"] == [{"id": "picture.txt", "problem": "binary"}]
    terms = {top["term"] for top in result["top_terms"]}
    assert {"cargo", "harbour", "항만", "화물"} <= terms
    pids = {share["worker"].rpartition("-")[2] for share in result["workers"]}
    assert pids == {str(children["worker 1"].pid), str(children["worker 2"].pid)}
    page = (out / "report.html").read_text()
    assert "항만" in page
    assert "news/<wbr>" in page

    for heading in ("FREQUENT TERMS", "TERMS THAT KEEP COMPANY", "RICHEST DOCUMENTS", "WORKER"):
        assert demo.stdout.count(f"\n{heading}") == (heading != "TERMS THAT KEEP COMPANY" or bool(result["top_pairs"]))
    assert "8 of 8 documents\n" in demo.stdout
    assert "\nMined 7 documents in " in demo.stdout
    assert "\n1 document without terms; the report says why.\n" in demo.stdout
    assert f"\nReport: {out}/report.html\nAs JSON: {out}/result.json\n" in demo.stdout
    assert "\x1b" not in demo.stdout


async def test_speaks_json_alone_to_programs(processes: Processes, texts: Path, tmp_path: Path) -> None:
    arguments = ("--input", str(texts), "--out", "here", "--workers", "1", "--limit", "3", "--json")
    done = await processes.run("demo", *arguments, folder=tmp_path)
    assert done.code == 0
    assert done.stderr == ""
    summary = json.loads(done.stdout)
    assert summary["documents"] == 3
    assert [share["documents"] for share in summary["workers"]] == [3]
    assert summary["json"] == str(tmp_path / "here" / "result.json")
    assert summary["html"] == str(tmp_path / "here" / "report.html")
    assert (tmp_path / "here" / "report.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(("send", "code"), [("interrupt", 130), ("terminate", 143)])
@pytest.mark.parametrize("moment", ["^Mining ", "^Hub on ", "^Worker 2", r"^\d+ of \d+ documents"])
async def test_leaves_no_process_when_it_is_stopped(
    processes: Processes, tmp_path: Path, moment: str, send: str, code: int
) -> None:
    demo = await processes.start("demo", folder=tmp_path, DEMO_MARK=str(tmp_path))
    await demo.line(moment)
    getattr(demo, send)()
    assert await demo.wait() == code
    assert demo.stderr == ""
    assert not descendants(tmp_path)


async def test_leaves_no_process_when_it_is_killed(processes: Processes, tmp_path: Path) -> None:
    demo = await processes.start("demo", folder=tmp_path, DEMO_MARK=str(tmp_path))
    await demo.line(r"^\d+ of \d+ documents")
    demo.kill()
    assert await demo.wait() == -9
    _, alive = await asyncio.to_thread(psutil.wait_procs, descendants(tmp_path), 20)
    assert not alive


@pytest.mark.parametrize("victim", ["hub", "worker 1"])
async def test_names_the_process_that_died(processes: Processes, tmp_path: Path, victim: str) -> None:
    demo = await processes.start("demo", folder=tmp_path, DEMO_MARK=str(tmp_path))
    children = await children_of(demo)
    await demo.line(r"^\d+ of \d+ documents")
    children[victim].kill()
    assert await demo.wait() == 1
    name = "The hub" if victim == "hub" else "Worker 1"
    first, *last_words = demo.stderr.splitlines()
    assert first == (
        f"portcall: error: {name} (process {children[victim].pid}) was killed by SIGKILL. Its last words on stderr:"
    )
    assert any("INFO" in line for line in last_words)
    assert not descendants(tmp_path)


async def on_terminal(processes: Processes, tmp_path: Path, **environment: str) -> str:
    """Return all that a small demo writes to a terminal of 100 columns."""
    spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    command = portcall("demo", "--limit", "20", "--out", str(tmp_path))
    environment = {"TERM": "xterm-256color", "COLUMNS": "100", **environment}
    terminal = await processes.spawn(sys.executable, "-c", spawn, *command, **environment)
    assert await terminal.wait() == 0
    return terminal.stdout


async def test_terminal_shows_bars_in_colour(processes: Processes, tmp_path: Path) -> None:
    screen = await on_terminal(processes, tmp_path)
    assert "━━━━" in screen
    assert "of 20 documents" not in screen
    assert COLOUR.search(screen)


async def test_no_color_is_respected(processes: Processes, tmp_path: Path) -> None:
    screen = await on_terminal(processes, tmp_path, NO_COLOR="1")
    assert "━━━━" in screen
    assert not COLOUR.search(screen)


async def test_dumb_terminal_gets_lines(processes: Processes, tmp_path: Path) -> None:
    screen = await on_terminal(processes, tmp_path, TERM="dumb")
    assert "20 of 20 documents" in screen
    assert "\x1b" not in screen


async def test_chaos_costs_no_document(processes: Processes, tmp_path: Path) -> None:
    demo = await processes.start("demo", "--chaos", "--limit", "400", folder=tmp_path, DEMO_MARK=str(tmp_path))
    await demo.line(r"^Killed worker 1, process \d+, with SIGKILL")
    await demo.line(r"^Killed the hub, process \d+, with SIGKILL")
    assert await demo.wait() == 0, demo.stderr
    shown = dict(re.findall(r"^(\w[\w ]+\w) {2,}(\d+) *$", demo.stdout, re.MULTILINE))
    figures = [int(shown[name]) for name in ("documents", "jobs stored", "outcomes recorded")]
    assert figures == [400] * 3
    assert shown["documents with terms"] == shown["documents counted"]
    assert not descendants(tmp_path)


async def test_chaos_wants_documents(processes: Processes, texts: Path, tmp_path: Path) -> None:
    done = await processes.run("demo", "--chaos", "--input", str(texts), folder=tmp_path)
    assert done.code == 2
    assert "--chaos wants 100 or more" in done.stderr
