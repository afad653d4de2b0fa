"""The demo's result in a few tables; the report has all of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.table import Table

from portcall.cli.output import table

TERMS_MAX = 8
PAIRS_MAX = 8
DOCUMENTS_MAX = 8
KEYWORDS_MAX = 5


def tables(result: Any) -> Iterator[Table]:
    """Make tables of a `MiningResult` of the example; what has nothing to show is left out."""
    for made in (_terms(result), _pairs(result), _documents(result), _workers(result)):
        if made.row_count:
            yield made


def summary(result: Any, json_path: Path, html_path: Path) -> dict[str, object]:
    """Return the result's figures for programs, and where the files are that have the rest."""
    return {
        "json": str(json_path.resolve()),
        "html": str(html_path.resolve()),
        "root": result.root,
        "documents": len(result.documents),
        "unmined": len(result.unmined),
        "terms": result.term_total,
        "elapsed_s": round(result.elapsed_s, 3),
        "workers": [{"worker": share.worker, "documents": share.document_count} for share in result.workers],
        "top_terms": [top.term for top in result.top_terms[:TERMS_MAX]],
    }


def _terms(result: Any) -> Table:
    rows = table("FREQUENT TERMS", "TIMES", "DOCUMENTS", right=(1, 2))
    for top in result.top_terms[:TERMS_MAX]:
        rows.add_row(top.term, f"{top.count:,}", f"{top.document_count:,}")
    return rows


def _pairs(result: Any) -> Table:
    rows = table("TERMS THAT KEEP COMPANY", "DOCUMENTS", "STRENGTH", right=(1, 2))
    for pair in result.top_pairs[:PAIRS_MAX]:
        rows.add_row(f"{pair.first} + {pair.second}", f"{pair.document_count:,}", f"{pair.strength:,.0f}")
    return rows


def _documents(result: Any) -> Table:
    rows = table("RICHEST DOCUMENTS", "KEYWORDS")
    richest = sorted(result.documents, key=lambda document: -document.term_total)
    for document in richest[:DOCUMENTS_MAX]:
        rows.add_row(document.id, ", ".join(keyword.term for keyword in document.keywords[:KEYWORDS_MAX]))
    return rows


def _workers(result: Any) -> Table:
    rows = table("WORKER", "DOCUMENTS", "TERMS", "SHARE", right=(1, 2, 3))
    total = sum(share.document_count for share in result.workers)
    for share in result.workers:
        percentage = 100 * share.document_count / total
        rows.add_row(share.worker, f"{share.document_count:,}", f"{share.term_total:,}", f"{percentage:.0f} %")
    return rows
