"""Brings the wheels that a lock pins, by pip, so that pip's own settings of indexes, proxies and mirrors hold."""

import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from portcall.errors import ConfigurationError
from portcall.image.errors import ImageError, writing
from portcall.image.layers import tree_key
from portcall.image.locks import Lock, Pin, no_wheel_words
from portcall.image.progress import Progress
from portcall.image.running import Command, Ended, run
from portcall.image.store import Store, hash_file
from portcall.image.targets import Target
from portcall.image.wheels import Wheel, read_wheel

DOWNLOAD_S = 1_800.0
"""How long all downloads of one platform may take."""

_NOT_FOUND = re.compile(r"No matching distribution found for (\S+)==(\S+)")
_MISMATCH = re.compile(r"DO NOT MATCH THE HASHES.*?^\s*(\S+==\S+|\S+) from", re.DOTALL | re.MULTILINE)
_WHEEL_NAME = re.compile(r"[\w.+!-]+\.whl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching:
    """What wheels are brought for, and where they are kept."""

    lock: Lock
    target: Target
    store: Store
    progress: Progress


def fetch_wheels(pins: Sequence[Pin], fetching: Fetching) -> list[Wheel]:
    """Return the wheels of these pins, in their order.

    Raises:
        ConfigurationError: a package has no wheel for the target; the message says which it has.
        ImageError: one cannot be brought, or is not what the lock says.
    """
    found = {pin: _kept(pin, fetching) for pin in pins}
    missing = [pin for pin, wheel in found.items() if wheel is None]
    if missing:
        fetching.progress.step(f"Downloading {len(missing)} wheels for {fetching.target.platform}")
        found |= _download(missing, fetching)
    return [wheel for wheel in found.values() if wheel is not None]


def _kept(pin: Pin, fetching: Fetching) -> Wheel | None:
    """Return a wheel that is on the disk already."""
    if pin.path is not None and pin.path.is_file():
        if (digest := hash_file(pin.path)) not in pin.sha256:
            raise ImageError(f"{pin.path} is not the file that {fetching.lock.path} locks. Lock anew")
        return read_wheel(pin.path, digest)
    digest = pin.sha256[0] if pin.wheel else fetching.store.noted(_choice_key(pin, fetching.target)) or ""
    path = fetching.store.wheel(digest) if digest else None
    return read_wheel(path, digest) if path is not None else None


def _choice_key(pin: Pin, target: Target) -> str:
    return tree_key("wheel of", pin.requirement, map(str, target.tags))


def _download(pins: Sequence[Pin], fetching: Fetching) -> dict[Pin, Wheel | None]:
    with writing(fetching.store.folder):
        fetching.store.folder.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=fetching.store.folder))
    try:
        ended = run(download_command(pins, fetching, folder))
        if ended.code:
            raise _explain(ended, pins, fetching, folder)
        by_name = {pin.name: pin for pin in pins}
        return {by_name[_name(path)]: _keep(by_name[_name(path)], path, fetching) for path in folder.glob("*.whl")}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def download_command(pins: Sequence[Pin], fetching: Fetching, folder: Path, *more: str) -> Command:
    """Return what downloads these wheels into a folder."""
    requirements = folder / "requirements.txt"
    with writing(requirements):
        requirements.write_text("".join(f"{pin.requirement}\n" for pin in pins))
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--disable-pip-version-check", "--no-input"]
    arguments = [*options, *fetching.target.pip_options(), *fetching.lock.index_options, *more]
    return Command(
        arguments=[sys.executable, "-m", "pip", "download", *arguments, "-r", str(requirements), "-d", str(folder)],
        timeout_s=DOWNLOAD_S,
    )


def _name(path: Path) -> str:
    return str(parse_wheel_filename(path.name)[0])


def _keep(pin: Pin, path: Path, fetching: Fetching) -> Wheel:
    digest = hash_file(path)
    if digest not in pin.sha256:  # pip has checked; this says that we rest on it
        raise ImageError(f"{path.name} is not the file that {fetching.lock.path} locks. Lock anew")
    place = fetching.store.wheel_folder(digest) / path.name
    with writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)
    fetching.store.note(_choice_key(pin, fetching.target), digest)
    return read_wheel(place, digest)


def _explain(ended: Ended, pins: Sequence[Pin], fetching: Fetching, folder: Path) -> Exception:
    """Say why pip failed."""
    if "No module named pip" in ended.stderr:
        return ConfigurationError(f"pip is not installed beside portcall: {sys.executable} -m ensurepip")
    if match := _NOT_FOUND.search(ended.stderr):
        pin = next((pin for pin in pins if pin.name == canonicalize_name(match[1])), None)
        if pin is not None:
            return _explain_not_found(pin, fetching, folder)
    if "No space left on device" in ended.words:
        return ImageError(
            "the disk is full: cannot download wheels. Make room and run this again; what is done is kept"
        )
    if match := _MISMATCH.search(ended.stderr):
        return ImageError(
            f"what the index has as {match[1]} is not what {fetching.lock.path} locks."
            " If it was published anew, lock anew; if not, do not trust that index"
        )
    return ImageError(f"pip could not download the wheels:\n{ended.words}")


def _explain_not_found(pin: Pin, fetching: Fetching, folder: Path) -> Exception:
    """Have pip tell what there is instead."""
    told = run(download_command([pin], fetching, folder, "-vv"))
    names = sorted(set(_wheels_of(pin, _WHEEL_NAME.findall(told.stdout + told.stderr))))
    if not names and "Could not fetch URL" in told.stdout + told.stderr:
        return ImageError(f"the index cannot be reached for {pin.name} {pin.version}. Look at 'pip config list'")
    words = no_wheel_words(f"{pin.name} {pin.version}", fetching.target, names)
    return ConfigurationError(f"{words} (locked in {fetching.lock.path})")


def _wheels_of(pin: Pin, names: Iterable[str]) -> Iterable[str]:
    for name in names:
        try:
            distribution, version, _, _ = parse_wheel_filename(name)
        except InvalidWheelFilename:
            continue
        if distribution == pin.name and str(version) == pin.version:
            yield name
