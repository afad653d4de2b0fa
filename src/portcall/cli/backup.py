"""`portcall hub backup`."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click
import grpc

from portcall.cli.exits import FailedError
from portcall.cli.options import as_json, file_path, hub_access
from portcall.errors import ConfigurationError, PortcallError
from portcall.protos.portcall.v1.jobs_pb2 import BackupPart, BackupRequest
from portcall.wire.access import Access
from portcall.wire.diagnosis import diagnose, explain
from portcall.wire.native import open_channel

MISTAKES = frozenset(
    {
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
    }
)


@click.command(
    epilog="""\b
Examples:
  portcall hub backup jobs-backup.db
  portcall hub backup /mnt/backups/jobs.db --hub hub.example:7070 --tls --token-file token
  portcall hub --store jobs-backup.db              a hub that begins with what is in it

The copy is made by the hub, beside its own file, so that has to have room for both. It holds requests, replies and
metadata of all jobs: keep it as safe as the hub's own."""
)
@click.argument("file", type=file_path)
@hub_access
@as_json
def backup(*, file: Path, access: Access, is_json: bool) -> None:
    """Copy all jobs of a hub to FILE.

    That is a consistent copy, with the schedules, and the hub goes on meanwhile.

    FILE appears when the copy is whole and flushed to the disk, and then takes the place of one that was there before.
    """
    if not file.absolute().parent.is_dir():
        raise ConfigurationError(f"cannot write {file}: there is no folder {file.parent}. Make it first")
    part = file.with_name(f"{file.name}.part")
    try:
        size = _fetch(access, part)
        part.replace(file)
    except OSError as error:
        raise FailedError(f"cannot write {file}: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    if is_json:
        click.echo(f'{{"bytes": {size}}}')
    else:
        click.echo(f"Wrote {file}, {size:,} bytes. A hub begins with it by: portcall hub --store {file}")


def _fetch(access: Access, part: Path) -> int:
    """Write the copy; return its size."""
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out, open_channel(access) as channel:
        ask = channel.unary_stream(
            "/portcall.v1.Jobs/Backup",
            request_serializer=BackupRequest.SerializeToString,
            response_deserializer=BackupPart.FromString,
        )
        try:
            expected, size = _write(ask(BackupRequest()), out)
        except grpc.RpcError as error:
            raise _explained(access, error) from None
        out.flush()
        os.fsync(out.fileno())
    if size != expected:
        raise FailedError(f"the hub at {access.target} sent {size:,} bytes of {expected:,}. Try again")
    return size


def _write(parts: Iterator[BackupPart], out: BinaryIO) -> tuple[int, int]:
    """Write what comes; return how much there should be, and how much there was."""
    expected = size = 0
    for number, part in enumerate(parts):
        expected = part.total_bytes if not number else expected
        size += out.write(part.data)
    return expected, size


def _explained(access: Access, error: Any) -> PortcallError:
    words = explain(access, error.code(), error.details())
    is_unreachable = diagnose(error.details(), is_encrypted=access.is_encrypted) is not None
    kind = ConfigurationError if error.code() in MISTAKES or is_unreachable else FailedError
    return kind(f"the hub at {access.target} gave no backup: {words}")
