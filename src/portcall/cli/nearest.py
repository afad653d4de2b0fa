"""What a user may have meant by the name of a command or option that there is not."""

import difflib
from collections.abc import Iterable

import click

LIKENESS_MIN = 0.7
"""Below it a hint misleads more often than it helps."""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return a question that names the nearest of the known words, to follow what is wrong; or nothing.

    Case does not count, nor do the dashes before an option.
    """
    bare = {word.lstrip("-").lower(): word for word in known}
    near = difflib.get_close_matches(given.lstrip("-").lower(), bare, n=1, cutoff=LIKENESS_MIN)
    return f". Did you mean '{bare[near[0]]}'?" if near else ""


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
