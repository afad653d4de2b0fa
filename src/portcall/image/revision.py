"""Which revision of its repository a project is at, and which files belong to it, as git says."""

from dataclasses import dataclass
from pathlib import Path

from portcall.image.running import Command, is_installed, run

_GIT = ("git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false")
"""Whose files they are is not asked: git's caution is about programs that a repository has it run, and these commands
run none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A commit."""

    commit: str
    time: int
    is_dirty: bool
    """Whether the tree has anything that the commit has not."""

    @property
    def words(self) -> str:
        """Return it as people and labels say it."""
        return f"{self.commit}-dirty" if self.is_dirty else self.commit


def find_revision(folder: Path) -> Revision | None:
    """Return the revision of a folder, or None if it is in no repository that has a commit."""
    said = _git(folder, "log", "-1", "--format=%H %ct")
    if not said:
        return None
    commit, _, time = said.strip().partition(" ")
    status = _git(folder, "status", "--porcelain", "--untracked-files=normal", "--", ".")
    return Revision(commit=commit, time=int(time), is_dirty=bool(status and status.strip()))


def known_files(folder: Path) -> list[str] | None:
    """Return the files that git has, and those that it does not ignore; None if the folder is in no repository."""
    said = _git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".")
    return sorted({path for path in said.split("\0") if path}) if said is not None else None


def _git(folder: Path, *arguments: str) -> str | None:
    if not is_installed("git"):
        return None
    ended = run(Command(arguments=[*_GIT, *arguments], folder=folder))
    return ended.stdout if ended.code == 0 else None
