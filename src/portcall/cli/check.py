"""`portcall hub check`."""

import json
from pathlib import Path

import click

from portcall.cli.exits import FailedError
from portcall.cli.options import as_json, file_path
from portcall.store.errors import StoreDamagedError, StoreUnavailableError
from portcall.store.sqlite.checking import check_file


@click.command(
    epilog="""\b
Examples:
  portcall hub check jobs.db
  portcall hub check /mnt/backups/jobs.db && echo sound"""
)
@click.argument("file", type=file_path)
@as_json
def check(*, file: Path, is_json: bool) -> None:
    """Look through FILE, the store of a hub or a backup.

    All of it is read, and nothing is written to it. The hub may run meanwhile. A hub that starts does the same with a
    file of up to 64 MB; a larger one is looked through by this command alone, since that may take minutes.

    The exit code is 1 if the file is damaged.
    """
    try:
        checked = check_file(file)
    except (StoreDamagedError, StoreUnavailableError) as error:
        raise FailedError(str(error)) from None
    if is_json:
        click.echo(json.dumps({"jobs": checked.jobs, "bytes": checked.size}))
    else:
        click.echo(f"{file} is sound: {checked.jobs:,} jobs in {checked.size:,} bytes")
