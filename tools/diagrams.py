"""Draw the state tables into the docs, or with `--check` say which drawing is stale.

Each drawing stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`, as Mermaid that GitHub and others render.
"""

import argparse
import re
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from portcall.core import calls
from portcall.wire import link
from portcall.worker.processes import states

DOCS = Path(__file__).resolve().parent.parent / "docs"


def diagram(transitions: Mapping[Any, Enum], first: Enum) -> str:
    """Return a table of transitions as a Mermaid state diagram."""
    rows = [f"    [*] --> {first.name}"]
    rows += [f"    {state.name} --> {then.name}: {event.name.lower()}" for (state, event), then in transitions.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *rows, "```"])


DIAGRAMS = {
    "architecture.md": {
        "link-states": diagram(link.TRANSITIONS, link.LinkState.NEW),
        "call-states": diagram(calls.TRANSITIONS, calls.CallState.WAITING),
    },
    "internals.md": {"process-states": diagram(states.TRANSITIONS, states.ProcessState.STARTING)},
}
"""Which page has which drawings."""


def redraw(page: str, text: str) -> str:
    """Return the text of a page with every drawing as the tables have it."""
    for name, drawing in DIAGRAMS[page].items():
        pattern = re.compile(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
        text, count = pattern.subn(lambda match, d=drawing: f"{match[1]}{d}\n{match[2]}", text)  # type: ignore[misc]
        if count != 1:
            raise SystemExit(f"{page} should have one place for {name}, and has {count}")
    return text


def main() -> int:
    """Draw or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a drawing is stale")
    is_check = parser.parse_args().check
    stale = {page: new for page in DIAGRAMS if (new := redraw(page, old := (DOCS / page).read_text())) != old}
    for page, text in stale.items():
        if is_check:
            print(f"{page} has stale drawings; run `python tools/diagrams.py` and commit what it writes")
        else:
            (DOCS / page).write_text(text)
    return int(is_check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
