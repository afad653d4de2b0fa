"""Text in the docs that is made from code: it stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`."""

import argparse
from collections.abc import Mapping
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"


def put(made: Mapping[str, Mapping[str, str]], *, about: str | None, script: str) -> int:
    """Write what was made, for each page by name, into its places; with `--check` say only which page is stale.

    Returns:
        The exit code of the script.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is stale")
    is_check = parser.parse_args().check
    stale = {page: new for page, texts in made.items() if (new := _renewed(page, texts)) != (DOCS / page).read_text()}
    for page, text in stale.items():
        if is_check:
            print(f"{page} is stale; run `python tools/{Path(script).name}` and commit what it writes")
        else:
            (DOCS / page).write_text(text)
    return int(is_check and bool(stale))


def _renewed(page: str, texts: Mapping[str, str]) -> str:
    whole = (DOCS / page).read_text()
    for name, text in texts.items():
        begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
        if (whole.count(begin), whole.count(end)) != (1, 1):
            raise SystemExit(f"{page} should have one place for {name}")
        before, rest = whole.split(begin)
        whole = f"{before}{begin}{text}\n{end}{rest.split(end)[1]}"
    return whole
