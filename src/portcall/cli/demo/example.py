"""The example project textmine, as a folder and as the modules in it."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import portcall
from portcall.errors import ConfigurationError


class Example(NamedTuple):
    """An ordinary project on `sys.path`, found at run time, so that no type checker knows its modules."""

    folder: Path
    client: ModuleType
    results: ModuleType
    report: ModuleType


def load_example() -> Example:
    """Find the project, in the installed package or beside it in a checkout, and import it.

    Raises:
        ConfigurationError: it is in neither place.
    """
    package = Path(portcall.__file__).parent
    for folder in (package / "_examples" / "textmine", package.parents[1] / "examples" / "textmine"):
        if (folder / "app.py").is_file():
            sys.path.insert(0, str(folder))
            client, results, report = map(importlib.import_module, ("client", "results", "report"))
            return Example(folder, client, results, report)
    raise ConfigurationError("the demo's example project textmine is not installed. Install portcall again")
