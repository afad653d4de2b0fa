"""What the options of several commands have in common."""

import logging
import math
import sys
from collections.abc import Callable
from typing import Any

import click

from portcall.cli.ending import end_with_stdin
from portcall.wire.target import HUB_DEFAULT, HUB_VARIABLE

Function = Callable[..., Any]
Decorator = Callable[[Function], Function]

LEVELS = ("debug", "info", "warning", "error")


def seconds(value: object) -> float:
    """Read a span of time: a number of seconds, 0 or more. A type for `click.option`."""
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise click.BadParameter(f"{value!r} is not a number of seconds, 0 or more")
    return number


def count(value: object) -> int:
    """Read how many: a whole number, 1 or more. A type for `click.option`."""
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if number < 1:
        raise click.BadParameter(f"{value!r} is not a whole number, 1 or more")
    return number


def setting(
    name: str, words: str, *, variable: str, default: object = None, shown: str | None = None, **more: Any
) -> Decorator:
    """Make an option that the environment can set too. The help shows `shown` for a default that is not just said."""
    said = shown or (f"{default:g}" if isinstance(default, float) else str(default))
    extra = f"env: {variable}" if more.get("is_flag") else f"default: {said}; env: {variable}"
    return click.option(name, envvar=variable, default=default, help=f"{words} [{extra}]", **more)


hub_address: Decorator = setting(
    "--hub",
    "Where the hub is. Also unix:PATH.",
    variable=HUB_VARIABLE,
    shown=HUB_DEFAULT,
    metavar="HOST:PORT",
)
"""`--hub`. It is None if nobody has said it, since an app may have its own."""


def log_level(variable: str, default: str = "info") -> Decorator:
    """Add `--log-level`."""
    return setting(
        "--log-level",
        f"How much to log on stderr: {', '.join(LEVELS[:-1])} or {LEVELS[-1]}.",
        variable=variable,
        default=default,
        type=click.Choice(LEVELS, case_sensitive=False),
        metavar="LEVEL",
    )


as_json: Decorator = click.option("--json", "is_json", is_flag=True, help="Print JSON, for programs to read.")


def _end_with_stdin_if(_: click.Context, __: click.Parameter, value: bool) -> None:
    if value:
        end_with_stdin()


exit_with_stdin: Decorator = click.option(
    "--exit-with-stdin", is_flag=True, hidden=True, expose_value=False, callback=_end_with_stdin_if
)
"""`--exit-with-stdin`: hidden, for programs that run this command as a child; see `end_with_stdin`."""


def start_logging(level: str) -> None:
    """Log to stderr, unless the app has set logging up by itself."""
    logging.basicConfig(
        level=level.upper(),
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        datefmt="%H:%M:%S" if sys.stderr.isatty() else "%Y-%m-%dT%H:%M:%S%z",
    )
    logging.getLogger("portcall").setLevel(level.upper())
