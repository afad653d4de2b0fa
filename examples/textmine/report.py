"""Write what was mined as one JSON file, complete, and as one HTML page, to be looked at.

The page stands alone: style and charts are in it, it loads nothing and runs nothing, so it can be mailed or archived.
Every text in it that comes from a document, its name included, is escaped.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

from results import Keyword, MinedDocument, MiningResult, TopPair, TopTerm, UnminedDocument, WorkerShare

JSON_NAME = "result.json"
HTML_NAME = "report.html"

DOCUMENT_ROWS_MAX = 250
"""The page shows the richest documents only; the JSON file has all of them."""

UNMINED_ROWS_MAX = 50
BARS_MAX = 22
PAIR_ROWS_MAX = 20
LABEL_CHARS_MAX = 24

_STYLE = Path(__file__).with_name("report.css")
_ROW_PX = 33
_LABEL_PX = 14
_BAR_PX = 4


def write(result: MiningResult, folder: Path) -> tuple[Path, Path]:
    """Write both files into `folder`, which is made if need be, over those of an earlier run; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    json_path, html_path = folder / JSON_NAME, folder / HTML_NAME
    json_path.write_text(as_json(result), encoding="utf-8")
    html_path.write_text(as_html(result), encoding="utf-8")
    return json_path, html_path


def as_json(result: MiningResult) -> str:
    """Return the whole result as a JSON object; its keys are the fields of `MiningResult`."""
    return json.dumps(asdict(result), ensure_ascii=False, indent=1) + "\n"


def as_html(result: MiningResult) -> str:
    """Return the result as a page of HTML."""
    subject = escape(result.root or "The Python standard library")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{subject}: what it is about</title>
<style>
{_STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<header>
<p class="kicker">What it is about</p>
<h1>{subject}</h1>
{_figures(result)}
</header>
<main>
{"".join(_sections(result))}</main>
<footer>Mined with Portcall. All documents, terms and pairs are in <code>{JSON_NAME}</code>.</footer>
</body>
</html>
"""


def _sections(result: MiningResult) -> Iterator[str]:
    yield _section("Frequent terms", "How often a term occurs, stop words aside.", _chart(result.top_terms[:BARS_MAX]))
    yield _section(
        "Terms that keep company",
        "Prominent in the same documents, the most telling pair first. Each term is in its strongest pair.",
        _pairs(result.top_pairs[:PAIR_ROWS_MAX]),
    )
    yield _section("Who did it", "What each worker of the fleet extracted.", _workers(result.workers), is_wide=True)
    shown = sorted(result.documents, key=lambda document: -document.term_total)[:DOCUMENT_ROWS_MAX]
    yield _section("Documents", _caption(len(shown), len(result.documents)), _document_table(shown), is_wide=True)
    if result.unmined:
        caption = f"{_documents(len(result.unmined))} without terms, and why."
        yield _section("Left out", caption, _unmined(result.unmined), is_wide=True)


def _section(title: str, caption: str, body: str, *, is_wide: bool = False) -> str:
    opening = '<section class="wide">' if is_wide else "<section>"
    return f"{opening}\n<h2>{title}</h2>\n<p>{caption}</p>\n{body}\n</section>\n"


def _figures(result: MiningResult) -> str:
    figures = (
        ("documents", f"{len(result.documents):,}"),
        ("terms", f"{result.term_total:,}"),
        ("read", _size(sum(document.size_bytes for document in result.documents))),
        ("workers" if len(result.workers) != 1 else "worker", f"{len(result.workers):,}"),
        ("seconds", f"{result.elapsed_s:.1f}"),
    )
    items = "".join(f"<div><dd>{value}</dd><dt>{name}</dt></div>" for name, value in figures)
    return f"<dl>{items}</dl>"


def _chart(terms: Sequence[TopTerm]) -> str:
    """Draw a bar under each term. Lengths are percentages, so that the chart grows with the page and letters do not."""
    if not terms:
        return _NOTHING
    summary = escape(", ".join(f"{top.term} {top.count:,}" for top in terms))
    bars = "".join(_bar(top, index * _ROW_PX, top.count / terms[0].count) for index, top in enumerate(terms))
    return f'<svg role="img" aria-label="{summary}" width="100%" height="{len(terms) * _ROW_PX}">{bars}</svg>'


def _bar(top: TopTerm, top_px: int, share: float) -> str:
    label = top.term if len(top.term) <= LABEL_CHARS_MAX else top.term[:LABEL_CHARS_MAX] + "…"
    return (
        f'<text y="{top_px + _LABEL_PX}">{escape(label)}</text>'
        f'<text y="{top_px + _LABEL_PX}" x="100%" class="legend">'
        f"{top.count:,} in {_documents(top.document_count)}</text>"
        f"{_rail(top_px + _LABEL_PX + 6, share)}"
    )


def _rail(y_px: int, share: float) -> str:
    line = f'y="{y_px}" height="{_BAR_PX}" rx="{_BAR_PX // 2}"'
    return f'<rect {line} width="100%" class="rail"/><rect {line} width="{100 * share:.2f}%"/>'


def _workers(workers: Sequence[WorkerShare]) -> str:
    total = sum(share.document_count for share in workers)
    rows = (
        f"<tr><td>{escape(share.worker)}</td>"
        f'<td><svg aria-hidden="true" width="100%" height="{_BAR_PX}">'
        f"{_rail(0, share.document_count / total)}</svg></td>"
        f"<td>{share.document_count:,}</td><td>{share.term_total:,}</td><td>{_size(share.size_bytes)}</td></tr>\n"
        for share in workers
    )
    return _table(("Worker", "Share", "Documents", "Terms", "Read"), rows, style="workers")


def _pairs(pairs: Sequence[TopPair]) -> str:
    rows = (
        f"<tr><td>{escape(pair.first)} <i>with</i> {escape(pair.second)}</td>"
        f"<td>{pair.document_count:,}</td><td>{pair.strength:,.0f}</td></tr>\n"
        for pair in pairs
    )
    return _table(("Pair", "Documents", "Strength"), rows, style="pairs")


def _document_table(documents: Iterable[MinedDocument]) -> str:
    rows = (
        f"<tr><td>{_path(document.id)}</td><td>{document.term_total:,}</td>"
        f"<td>{' '.join(map(_keyword, document.keywords))}</td></tr>\n"
        for document in documents
    )
    return _table(("Document", "Terms", "Keywords"), rows, style="documents")


def _unmined(documents: Sequence[UnminedDocument]) -> str:
    rows = (
        f"<tr><td>{_path(document.id)}</td><td>{escape(document.problem)}</td></tr>\n"
        for document in documents[:UNMINED_ROWS_MAX]
    )
    return _table(("Document", "Why"), rows, style="unmined")


def _table(headings: Sequence[str], rows: Iterable[str], *, style: str) -> str:
    body = "".join(rows)
    if not body:
        return _NOTHING
    head = "".join(f"<th scope=col>{heading}</th>" for heading in headings)
    return f'<table class="{style}">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>'


def _path(document_id: str) -> str:
    folder, slash, name = document_id.rpartition("/")
    # The <wbr> lets a long path break where a reader would break it.
    return f"<i>{escape(folder + slash).replace('/', '/<wbr>')}</i>{escape(name)}"


def _keyword(keyword: Keyword) -> str:
    return f'<span style="--score:{keyword.score:.2f}">{escape(keyword.term)}</span>'


def _caption(shown: int, total: int) -> str:
    extent = "The richest first" if shown == total else f"The {shown:,} richest of {total:,}"
    return f"{extent}. The stronger a keyword's colour, the better it tells its document from the others."


def _documents(count: int) -> str:
    return f"{count:,} document" if count == 1 else f"{count:,} documents"


def _size(size_bytes: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} B"


_NOTHING = '<p class="nothing">Nothing to show.</p>'
