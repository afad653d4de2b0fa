"""Draw the state tables into the docs, or with `--check` say which drawing is stale.

Each drawing stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`, as Mermaid that GitHub and others render.
"""

import sys
from collections.abc import Mapping
from enum import Enum
from typing import Any

from marked import put

from portcall.core import calls
from portcall.wire import link
from portcall.worker.processes import states


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


if __name__ == "__main__":
    sys.exit(put(DIAGRAMS, about=__doc__, script=__file__))
