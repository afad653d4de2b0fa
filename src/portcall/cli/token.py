"""`portcall token`."""

import os
import secrets
from pathlib import Path

import click

from portcall.cli.options import file_path
from portcall.errors import ConfigurationError
from portcall.hub.tokens import Role, parse_tokens

TOKEN_BYTES = 32

OTHER_FILE = "Choose another file with --append"

ROLES = tuple(role.value for role in Role)


@click.command(
    epilog="""\b
Examples:
  portcall token --role worker --name crawlers       a line for the hub's file
  portcall token --role worker >> tokens             the same, into the file
  portcall token --role client --append tokens --out client.token
                                                     both sides' files

The hub knows its tokens by the file that its --token-file names, and takes a change of it up within seconds. Workers
and clients get the token itself, without roles and name: by --token-file, PORTCALL_TOKEN_FILE or PORTCALL_TOKEN."""
)
@click.option(
    "--role",
    "roles",
    type=click.Choice(ROLES),
    multiple=True,
    metavar="ROLE",
    help="What it is good for: worker (to serve) or client (to call); may be given twice. [default: both]",
)
@click.option("--name", default="", metavar="NAME", help="How the hub's log shall call it. [default: its line]")
@click.option("--append", type=file_path, metavar="FILE", help="The hub's file: append the line to it.")
@click.option(
    "--out", type=file_path, metavar="FILE", help="New file for the token alone, for workers or clients to name."
)
def token(*, roles: tuple[str, ...], name: str, append: Path | None, out: Path | None) -> None:
    """Make a token, which lets workers or clients in.

    Prints the line for the hub's file; with --append the token alone, unless --out has put that into a file.
    """
    secret = secrets.token_urlsafe(TOKEN_BYTES)
    line = f"{','.join(dict.fromkeys(roles or ROLES))} {secret} {' '.join(name.split())}".rstrip()
    try:
        parse_tokens(line, "--name", b"")
    except ConfigurationError as error:
        raise click.BadParameter(str(error).partition(": ")[2], param_hint="'--name'") from None
    if out is not None:
        _write_new(out, secret)
    if append is None:
        click.echo(line)
        return
    try:
        _append(append, line)
    except ConfigurationError:
        if out is not None:
            out.unlink()
        raise
    if out is None:
        click.echo(secret)


def _write_new(path: Path, text: str) -> None:
    """Write a file that this user alone can read, and that was not there before.

    Raises:
        ConfigurationError: it is there, or cannot be made.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(f"{path} is there already. Choose another file with --out") from None
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}. Choose another file with --out") from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"{text}\n")


def _append(path: Path, line: str) -> None:
    """Append a line to the hub's file, which this user alone can read if it is made here.

    Raises:
        ConfigurationError: it cannot be written to, or is no text file.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "r+", encoding="utf-8") as file:
            text = file.read()
            file.write(("" if not text or text.endswith("\n") else "\n") + f"{line}\n")
    except UnicodeDecodeError:
        raise ConfigurationError(f"cannot append to {path}: it is not a text file. {OTHER_FILE}") from None
    except OSError as error:
        raise ConfigurationError(f"cannot append to {path}: {error.strerror}. {OTHER_FILE}") from None
