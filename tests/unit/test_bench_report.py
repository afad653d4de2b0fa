"""Where the benchmarks put their figures."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.__main__ import command_of, group_names, parse
from bench.report import SECTION, read_json, run_of, write_json, write_markdown
from bench.rows import Row, at_least

ROOT = Path(__file__).resolve().parents[2]


PAGE = """# Figures

<!-- bench: latency unary -->
old
<!-- bench: end -->

Said of them.

<!-- bench: jobs -->
<!-- bench: end -->
"""


def rows(*groups: str) -> list[Row]:
    return [
        Row(group=group, case="c", contender="hub", figure="rate", unit="jobs/s", values=(1.0,), bars=(at_least(2),))
        for group in groups
    ]


def test_figures_go_to_the_section_of_their_group_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    run = run_of("python -m bench --only jobs", rows("jobs"))
    for _ in range(2):  # again, in the place of those before
        write_markdown(run, page)
        before, _, section = page.read_text().partition("<!-- bench: jobs -->\n")
        assert before + "<!-- bench: jobs -->\n<!-- bench: end -->\n" == PAGE
        assert section.startswith("`python -m bench --only jobs` on ")
        assert "| c | hub | rate | 1 jobs/s |  |  | ≥ 2 | FAIL |\n<!-- bench: end -->\n" in section


def test_group_without_a_place_is_told(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    with pytest.raises(ValueError, match="has no place for image: it needs the lines"):
        write_markdown(run_of("python -m bench", rows("jobs", "image")), page)
    assert page.read_text() == PAGE


def test_what_was_kept_is_what_was_measured(tmp_path: Path) -> None:
    run = run_of("python -m bench --only jobs", rows("jobs"))
    write_json(run, tmp_path / "kept.json")
    kept = read_json(tmp_path / "kept.json")
    assert (kept.command, kept.machine, len(kept.results)) == (run.command, run.machine, 1)
    assert kept.results[0].median == 1.0
    write_json(kept, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == (tmp_path / "kept.json").read_text()


def test_command_names_what_is_measured_and_no_file() -> None:
    arguments = ["--markdown", "/somewhere/page.md", "--json", "x.json", "--rounds", "3", "--seconds", "0.5"]
    options = parse([*arguments, "--huge", "--only", "jobs", "store"])
    assert command_of(options) == "python -m bench --only jobs store --rounds 3 --seconds 0.5 --huge"
    assert command_of(parse([])) == "python -m bench"


def test_every_group_that_is_measured_has_its_place_in_the_docs() -> None:
    text = (ROOT / "docs" / "performance.md").read_text()
    placed = [group for section in SECTION.finditer(text) for group in section["groups"].split()]
    assert sorted(placed) == sorted(group_names())
    assert all(section[0].count("\n|") > 2 for section in SECTION.finditer(text))
    assert str(Path(sys.prefix)) not in text
