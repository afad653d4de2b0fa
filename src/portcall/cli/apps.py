"""Finds the worker that a user means by `app:worker` or `path/to/app.py:worker`."""

import importlib
import inspect
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from portcall.errors import ConfigurationError
from portcall.worker import Worker

ATTRIBUTE_DEFAULT = "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppReference:
    """Where a worker is: an attribute of a module, which is looked for in `folder` first."""

    module: str
    attribute: str
    folder: Path
    file: Path | None = None
    """The file that the user named, if it was a file; the module must be this one."""

    @property
    def label(self) -> str:
        """Return the module's name as the user gave it."""
        return str(self.file) if self.file is not None else self.module


def parse_reference(text: str, here: Path) -> AppReference:
    """Read MODULE[:ATTRIBUTE] or FILE.py[:ATTRIBUTE]; `here` is the current directory.

    A file's folder takes the place of the current directory, as when Python runs the file; a file of a package is found
    from the folder that has the package.

    Raises:
        ConfigurationError: it is neither, or there is no such file.
    """
    place, colon, attribute = text.partition(":")
    attribute = attribute if colon else ATTRIBUTE_DEFAULT
    is_file = place.endswith(".py") or "/" in place
    if not attribute.isidentifier() or not (is_file or all(place.split("."))):
        raise ConfigurationError(
            f"{text!r} does not name an app: it should be MODULE:OBJECT, as in app:worker, or path/to/app.py:worker"
        )
    if is_file:
        return _file_reference(Path(place), attribute, here)
    return AppReference(module=place, attribute=attribute, folder=here)


def load_worker(reference: AppReference) -> Worker:
    """Import the app and return its worker. When the app raises, its traceback goes to stderr.

    Raises:
        ConfigurationError: there is no such module, it fails, or what it has by that name is not a worker.
    """
    module = _import(reference)
    try:
        found = getattr(module, reference.attribute)
    except AttributeError:
        raise ConfigurationError(
            f"{reference.label} has no {reference.attribute!r}{_alternatives(reference, module)}"
        ) from None
    made = _make(reference, found) if callable(found) and not isinstance(found, Worker) else found
    if not isinstance(made, Worker):
        verb = "is" if made is found else "returned"
        what = "None" if made is None else f"an object of type {type(made).__name__}"
        raise ConfigurationError(
            f"{reference.label}:{reference.attribute} {verb} {what}, and should be a portcall.Worker or a function that"
            f" returns one{_alternatives(reference, module)}"
        )
    return made


def _file_reference(file: Path, attribute: str, here: Path) -> AppReference:
    path = (here / file).resolve()
    if path.suffix != ".py" or not path.is_file():
        raise ConfigurationError(f"there is no Python file {str(file)!r} (looked in {here})")
    folder, parts = path.parent, [path.stem]
    while (folder / "__init__.py").is_file():
        folder, parts = folder.parent, [folder.name, *parts]
    return AppReference(module=".".join(parts), attribute=attribute, folder=folder, file=file)


def _import(reference: AppReference) -> ModuleType:
    sys.path.insert(0, str(reference.folder))
    try:
        module = importlib.import_module(reference.module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{reference.module}.".startswith(f"{error.name}."):
            _blame(reference, "while it was imported", error)
        raise ConfigurationError(
            f"there is no module {error.name!r} in {reference.folder}, nor among the installed ones. Start portcall in"
            f" the folder that has it, or name the file, as in path/to/{reference.module.replace('.', '/')}.py"
            f"{_meant(reference)}"
        ) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an app raises is its user's to see
        _blame(reference, "while it was imported", error)
    if reference.file is not None and not _is_file_of(module, reference.folder):
        raise ConfigurationError(
            f"{reference.file} cannot be imported, because {reference.module!r} is another module already"
            f" ({getattr(module, '__file__', None) or 'built into Python'}). Rename the file"
        )
    return module


def _meant(reference: AppReference) -> str:
    """Return a question for who wrote a dot where a colon belongs."""
    parent, _, name = reference.module.rpartition(".")
    return f". Did you mean {parent}:{name}?" if hasattr(sys.modules.get(parent), name) else ""


def _is_file_of(module: ModuleType, folder: Path) -> bool:
    return module.__file__ is not None and Path(module.__file__).resolve().is_relative_to(folder)


def _make(reference: AppReference, factory: object) -> object:
    assert callable(factory)
    try:
        made: object = factory()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an app raises is its user's to see
        _blame(reference, f"in {reference.attribute}()", error)
    if inspect.iscoroutine(made):
        made.close()
    return made


def _alternatives(reference: AppReference, module: ModuleType) -> str:
    names = [name for name, value in vars(module).items() if isinstance(value, Worker)]
    if not names:
        return ". It has no workers at all; make one in it: worker = portcall.Worker()"
    return f". It has {', '.join(map(repr, names))}: say {reference.label}:{names[0]}"


def _blame(reference: AppReference, when: str, error: BaseException) -> NoReturn:
    """Show the app's traceback, without our frames and those of the import system, and say what it was."""
    trace = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    traceback.print_exception(error.with_traceback(trace))
    words = f": {error}" if str(error) else ""
    raise ConfigurationError(f"{reference.label} failed {when} (above): {type(error).__name__}{words}") from None


def _is_ours(filename: str) -> bool:
    return filename in {__file__, importlib.__file__} or filename.startswith("<frozen importlib")
