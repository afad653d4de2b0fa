"""What a user may have meant by the name of a command or option that there is not."""

import difflib
from collections.abc import Iterable

import click

LIKENESS_MIN = 0.7
"""Below it a hint misleads more often than it helps."""


def nearest(given: str, known: Iterable[str], likeness_min: float = LIKENESS_MIN) -> str | None:
    """Return which of the known words is meant, if one is near.

    Case does not count, nor do the dashes before an option, nor whether words are joined by - or _.
    """
    folded = {_folded(word): word for word in known}
    near = difflib.get_close_matches(_folded(given), folded, n=1, cutoff=likeness_min)
    return folded[near[0]] if near else None


def _folded(word: str) -> str:
    return word.lstrip("-").lower().replace("_", "-")


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return a question that names the nearest of the known words, to follow what is wrong; or nothing."""
    meant = nearest(given, known)
    return f". Did you mean '{meant}'?" if meant else ""


class NamingGroup(click.Group):
    """A group that says which of its commands a user may have meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with."""
        name = args[0]
        known = self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"no such command '{name}'{did_you_mean(name, known)}", ctx)
        return super().resolve_command(ctx, args)
