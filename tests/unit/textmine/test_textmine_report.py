"""The two files that are left of a run."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import report
from results import Keyword, MinedDocument, MiningResult, TopPair, TopTerm, UnminedDocument, WorkerShare

NASTY = "<script>alert('&')</script>"


def result_of(text: str) -> MiningResult:
    return MiningResult(
        root=text,
        documents=(
            MinedDocument(
                id=f"folder/{text}",
                kind="text",
                size_bytes=1_500,
                term_total=3,
                distinct_terms=2,
                worker=text,
                keywords=(Keyword(term=text, score=0.75, count=2),),
            ),
        ),
        unmined=(UnminedDocument(id=text, problem=text),),
        term_total=3,
        top_terms=(TopTerm(term=text[:20], count=2, document_count=1),),
        top_pairs=(TopPair(first=text, second=text, document_count=3, strength=4.5),),
        undercount_max=0,
        workers=(WorkerShare(worker=text, document_count=1, size_bytes=1_500, term_total=3),),
        elapsed_s=0.5,
    )


class Seen(HTMLParser):
    """The tags and addresses of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str | None] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value for name, value in attrs if name in {"src", "href"}]


def test_everything_from_documents_is_escaped() -> None:
    page = report.as_html(result_of(NASTY))
    assert NASTY not in page
    assert "&lt;script&gt;alert(&#x27;&amp;&#x27;)" in page
    assert "script" not in Seen(page).tags


def test_the_page_stands_alone() -> None:
    seen = Seen(report.as_html(result_of("바다")))
    assert "svg" in seen.tags
    assert seen.addresses == []
    assert "url(" not in report.as_html(result_of("바다"))


def test_the_page_shows_all_parts() -> None:
    page = report.as_html(result_of("바다"))
    for heading in ("Frequent terms", "Terms that keep company", "Who did it", "Documents", "Left out"):
        assert f"<h2>{heading}</h2>" in page
    assert "바다" in page
    assert "1.5 kB" in page


def test_an_empty_result_has_a_page_too() -> None:
    empty = replace(result_of(""), documents=(), unmined=(), top_terms=(), top_pairs=(), workers=())
    page = report.as_html(empty)
    assert "The Python standard library" in page
    assert "Left out" not in page


def test_both_files_are_written_again_over_the_old(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    for text in ("first", "바다"):
        json_path, html_path = report.write(result_of(text), folder)
    assert json.loads(json_path.read_text(encoding="utf-8"))["documents"][0]["keywords"][0]["term"] == "바다"
    assert html_path.read_text(encoding="utf-8").startswith("<!doctype html>")
