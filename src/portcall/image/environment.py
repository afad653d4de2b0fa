"""The environment of an image: the wheels of a lock, as a virtual environment at a fixed place."""

from collections.abc import Iterable, Sequence

from packaging.utils import canonicalize_name

from portcall.image.bases import Python
from portcall.image.layers import Entry, Text, with_folders
from portcall.image.targets import Target
from portcall.image.wheels import Places, Wheel, installed_files

VENV = "opt/venv"
_CONFIGURATION = """\
home = {home}
include-system-site-packages = false
version = {version}
executable = {path}
"""


def places(target: Target) -> Places:
    """Return where the files of wheels go."""
    return Places(
        packages=f"{VENV}/lib/python{target.minor}/site-packages",
        scripts=f"{VENV}/bin",
        prefix=VENV,
        headers=f"{VENV}/include/site/python{target.minor}",
        python=f"/{VENV}/bin/python",
    )


def environment_tree(wheels: Iterable[Wheel], target: Target, python: Python) -> dict[str, Entry]:
    """Return the files of an environment. No bytecode is among them.

    What a `.pyc` holds (PEP 552 fixes its header alone) differs between releases of Python, patches included, and
    with what else the process that writes it has seen; so it would tie the digest to the Python of whoever builds. A
    container writes its own into its `/tmp` instead: its first process pays for that, every other one gains.
    """
    home, _, _ = python.path.rpartition("/")
    text = _CONFIGURATION.format(home=home, version=target.python, path=python.path)
    tree = {
        f"{VENV}/pyvenv.cfg": Entry(content=Text(text.encode())),
        f"{VENV}/bin/python": Entry(target=python.path),
        f"{VENV}/bin/python3": Entry(target="python"),
        f"{VENV}/bin/python{target.minor}": Entry(target="python"),
    }
    for wheel in wheels:
        tree |= installed_files(wheel, places(target))
    return with_folders(tree)


def closure(wheels: Sequence[Wheel], roots: Iterable[str], target: Target) -> list[Wheel]:
    """Return those wheels that the roots need, by what wheels say that they require."""
    by_name = {wheel.name: wheel for wheel in wheels}
    wanted: set[str] = set()
    waiting = [name for name in roots if name in by_name]
    while waiting:
        name = waiting.pop()
        if name in wanted:
            continue
        wanted.add(name)
        for requirement in by_name[name].requires:
            if target.holds(requirement.marker):
                required = canonicalize_name(requirement.name)
                waiting.extend([required] if required in by_name else [])
    return [wheel for wheel in wheels if wheel.name in wanted]
