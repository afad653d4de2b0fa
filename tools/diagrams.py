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

DOC = Path(__file__).resolve().parent.parent / "docs" / "architecture.md"


def diagram(transitions: Mapping[Any, Enum], first: Enum) -> str:
    """Return a table of transitions as a Mermaid state diagram."""
    rows = [f"    [*] --> {first.name}"]
    rows += [f"    {state.name} --> {then.name}: {event.name.lower()}" for (state, event), then in transitions.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *rows, "```"])


DIAGRAMS = {
    "link-states": diagram(link.TRANSITIONS, link.LinkState.NEW),
    "process-states": diagram(states.TRANSITIONS, states.ProcessState.STARTING),
    "call-states": diagram(calls.TRANSITIONS, calls.CallState.WAITING),
}


def redraw(text: str) -> str:
    """Return the document with every drawing as the tables have it."""
    for name, drawing in DIAGRAMS.items():
        pattern = re.compile(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
        text, count = pattern.subn(lambda match, d=drawing: f"{match[1]}{d}\n{match[2]}", text)  # type: ignore[misc]
        if count != 1:
            raise SystemExit(f"{DOC.name} should have one place for {name}, and has {count}")
    return text


def main() -> int:
    """Draw or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a drawing is stale")
    is_check = parser.parse_args().check
    old = DOC.read_text()
    new = redraw(old)
    if new == old:
        return 0
    if is_check:
        print(f"{DOC.name} has stale drawings; run `python tools/diagrams.py` and commit what it writes")
        return 1
    DOC.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
