"""`Jobs.Backup`: a consistent copy of the store, made beside it and sent in parts."""

import asyncio
import os
import secrets
from pathlib import Path

from portcall.hub.jobs.failing import BusyError, Context
from portcall.hub.jobs.keeper import JobKeeper
from portcall.protos.portcall.v1 import jobs_pb2

PART_BYTES = 262_144

BACKUPS_MAX = 1
"""Backups at a time, since each takes as much room as the store."""


async def stream_backup(keeper: JobKeeper, _: jobs_pb2.BackupRequest, context: Context) -> None:
    """Serve one backup."""
    if keeper.backups >= BACKUPS_MAX:
        raise BusyError("a backup is being made already; wait for it to be done")
    keeper.backups += 1
    copy = keeper.store.path.with_name(f"{keeper.store.path.name}-backup-{secrets.token_hex(4)}")
    try:
        await keeper.store.backup(copy)
        await _send(copy, context)
    finally:
        await asyncio.to_thread(copy.unlink, missing_ok=True)
        keeper.backups -= 1


async def _send(copy: Path, context: Context) -> None:
    sent = 0
    with await asyncio.to_thread(copy.open, "rb") as file:
        total = os.fstat(file.fileno()).st_size
        while data := await asyncio.to_thread(file.read, PART_BYTES):
            part = jobs_pb2.BackupPart(data=data, total_bytes=0 if sent else total)
            sent += len(data)
            await context.write(part.SerializeToString())
