"""How long steps tell what they do."""

from typing import Protocol


class Progress(Protocol):
    """Whoever wants to know. Told from the thread that works."""

    def step(self, words: str) -> None:
        """Something begins, or was found out."""

    def moved(self, what: str, done: int, total: int) -> None:
        """So many bytes of something have been sent or have come; the last word has all of them."""


class Silence:
    """Nobody wants to know."""

    def step(self, words: str) -> None:
        """Say nothing."""

    def moved(self, what: str, done: int, total: int) -> None:
        """Say nothing."""
