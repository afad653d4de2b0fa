"""What the options of several commands have in common."""

import functools
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from portcall.cli.ending import end_with_stdin
from portcall.cli.settings.setting import Setting, shown_value
from portcall.errors import ConfigurationError
from portcall.wire.access import (
    INSECURE_VARIABLE,
    TLS_CA_VARIABLE,
    TLS_CERT_VARIABLE,
    TLS_KEY_VARIABLE,
    TLS_VARIABLE,
    TOKEN_FILE_VARIABLE,
    TOKEN_VARIABLE,
    Access,
    Tls,
    resolve_access,
)
from portcall.wire.target import HUB_DEFAULT, HUB_VARIABLE, hub_target

Function = Callable[..., Any]
Decorator = Callable[[Function], Function]

COUNT_MAX = 2**31 - 1
"""What gRPC counts in is no larger; and that many of anything is as good as no limit."""

LEVELS = ("debug", "info", "warning", "error")


_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}


def seconds(value: object) -> float:
    """Read a span of time in seconds, 0 or more; m, h, d and w are larger units. A type for `click.option`."""
    text = str(value).strip()
    unit = _UNITS.get(text[-1:])
    try:
        number = float(text if unit is None else text[:-1]) * (unit or 1.0)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise click.BadParameter(f"{value!r} is not a span of time, as in 90, 5m, 2h or 7d")
    return number


def span(value: object) -> float:
    """Read a span of time, as `seconds` does, that cannot be none. A type for `click.option`."""
    number = seconds(value)
    if not number:
        raise click.BadParameter(f"{value!r} is not above 0 seconds")
    return number


def count(value: object) -> int:
    """Read how many: a whole number, 1 or more. A type for `click.option`."""
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if number < 1:
        raise click.BadParameter(f"{value!r} is not a whole number, 1 or more")
    if number > COUNT_MAX:
        raise click.BadParameter(f"{value!r} is too much; {COUNT_MAX} is the most")
    return number


def size(value: object) -> int:
    """Read a size in bytes: a whole number, with K, M, G or T for powers of 1024. A type for `click.option`."""
    match = re.fullmatch(r"([0-9]+)(?:([KMGT])(?:i?B)?)?", str(value).strip(), re.IGNORECASE)
    number = int(match[1]) << 10 * " KMGT".index((match[2] or " ").upper()) if match else 0
    if number < 1:
        raise click.BadParameter(f"{value!r} is not a size in bytes, as in 512M or 2G")
    return number


class Switch(click.types.BoolParamType):
    """The type of a flag, which only a variable can get wrong."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read yes or no."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is neither 1 nor 0", param, ctx)


def hub_place(value: str) -> str:
    """Read where a hub is. A type for `click.option`."""
    try:
        return hub_target(value)
    except ConfigurationError:
        raise click.BadParameter(f"{value!r} is not HOST:PORT, as in {HUB_DEFAULT}, nor unix:PATH") from None


def setting(
    name: str,
    words: str,
    *,
    variable: str,
    default: object = None,
    shown: str | None = None,
    short: str | None = None,
    also: Sequence[str] = (),
    **more: Any,
) -> Decorator:
    """Make an option that the environment and portcall.toml can set too; see `Setting`.

    The help shows `shown` for a default that is not just said. `also` has other flags and the parameter's name.
    """
    said = shown or shown_value(bool(default) if more.get("is_flag") else default)
    more = {"type": Switch(), **more} if more.get("is_flag") else more
    names = [*([short] if short else []), name, *also]
    return click.option(*names, cls=Setting, envvar=variable, default=default, words=words, said=said, **more)


hub_address: Decorator = setting(
    "--hub",
    "Where the hub is. Also unix:PATH.",
    variable=HUB_VARIABLE,
    shown=HUB_DEFAULT,
    metavar="HOST:PORT",
    type=hub_place,
)
"""`--hub`. It is None if nobody has said it, since an app may have its own."""

file_path = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubOptions:
    """What the options say of the way to the hub; None where they say nothing."""

    hub: str | None
    token_file: Path | None
    tls: Tls | None
    is_insecure: bool | None

    def access(self) -> Access:
        """Return the way to the hub, with what else the environment says.

        Raises:
            ConfigurationError: the hub cannot be dialled in this way.
        """
        return resolve_access(self.hub, token=self.token_file, tls=self.tls, is_insecure=self.is_insecure)


def _unless_the_environment_has_it(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Leave the file of a token aside that portcall.toml names, where the environment has a token."""
    is_from_file = ctx.get_parameter_source(param.name or "") is ParameterSource.DEFAULT_MAP
    return None if is_from_file and os.environ.get(TOKEN_VARIABLE) else value


_HUB_OPTIONS: tuple[Decorator, ...] = (
    hub_address,
    setting(
        "--token-file",
        "File with the token that the hub wants to see; PORTCALL_TOKEN has the token itself.",
        variable=TOKEN_FILE_VARIABLE,
        shown="no token",
        metavar="FILE",
        type=file_path,
        callback=_unless_the_environment_has_it,
    ),
    setting("--tls", "Encrypt, and trust the authorities that the system trusts.", variable=TLS_VARIABLE, is_flag=True),
    setting(
        "--tls-ca",
        "Encrypt, and trust the authorities in this file.",
        variable=TLS_CA_VARIABLE,
        shown="those of the system",
        metavar="FILE",
        type=file_path,
    ),
    setting(
        "--tls-cert",
        "Certificate to show to a hub that asks for one.",
        variable=TLS_CERT_VARIABLE,
        shown="none",
        metavar="FILE",
        type=file_path,
    ),
    setting(
        "--tls-key",
        "Key of that certificate.",
        variable=TLS_KEY_VARIABLE,
        shown="none",
        metavar="FILE",
        type=file_path,
    ),
    setting(
        "--insecure",
        "Send the token beyond this machine although nothing is encrypted.",
        variable=INSECURE_VARIABLE,
        is_flag=True,
    ),
)


_HUB_PARAMETERS = {"hub", "token_file", "tls", "tls_ca", "tls_cert", "tls_key", "insecure"}


def hub_options(command: Function) -> Function:
    """Add the options that say how to reach the hub; the command gets them as `options`, of type HubOptions."""

    @functools.wraps(command)
    def with_options(**params: Any) -> Any:
        options = _hub_options_of(params)
        return command(options=options, **{name: params[name] for name in params.keys() - _HUB_PARAMETERS})

    decorated: Function = with_options
    for option in reversed(_HUB_OPTIONS):
        decorated = option(decorated)
    return decorated


def hub_access_of(params: Mapping[str, Any]) -> Access:
    """Return how to reach the hub, from the parameters of a command that has not been run; those it lacks are None."""
    return _hub_options_of(params).access()


def _hub_options_of(params: Mapping[str, Any]) -> HubOptions:
    ca, cert, key = params.get("tls_ca"), params.get("tls_cert"), params.get("tls_key")
    return HubOptions(
        hub=params.get("hub"),
        token_file=params.get("token_file"),
        tls=Tls(ca=ca, cert=cert, key=key) if params.get("tls") or ca or cert or key else None,
        is_insecure=params.get("insecure"),
    )


def hub_access(command: Function) -> Function:
    """Add the options that say how to reach the hub; the command gets what follows as `access`, of type Access."""

    @functools.wraps(command)
    def with_access(*, options: HubOptions, **others: Any) -> Any:
        return command(access=options.access(), **others)

    return hub_options(with_access)


@click.command("connect")
@hub_options
def connect(*, options: HubOptions) -> None:
    """Have the options that say how to reach a hub: what the table [connect] is made of. No command of its own."""


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


def start_logging(level: str, mark: str = "") -> None:
    """Log to stderr, unless the app has set logging up by itself. The mark stands behind each logger's name."""
    logging.basicConfig(
        level=level.upper(),
        format="%(asctime)s %(levelname)-7s %(name)s" + mark + ": %(message)s",
        datefmt="%H:%M:%S" if sys.stderr.isatty() else "%Y-%m-%dT%H:%M:%S%z",
    )
    logging.getLogger("portcall").setLevel(level.upper())
