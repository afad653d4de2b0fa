"""`portcall attach`."""

import asyncio
import contextlib
import logging
from pathlib import Path

import click

from portcall.cli.collector import tune_collector
from portcall.cli.ending import exit_within, stop_signals
from portcall.cli.exits import EXIT_DONE
from portcall.cli.health import answering_health
from portcall.cli.options import count, exit_with_stdin, hub_access, log_level, seconds, setting, start_logging
from portcall.cli.upstream_options import upstream_tls
from portcall.wire.access import Access, Tls
from portcall.worker.learning import read_descriptor_set
from portcall.worker.server import GRACE_S_DEFAULT, SLOTS_DEFAULT
from portcall.worker.sidecar import Sidecar, SidecarConfig

logger = logging.getLogger("portcall.cli")

LEAVE_S = 5.0
"""How long a sidecar that has drained may take to go."""


@click.command(
    epilog="""\b
Examples:
  portcall attach --upstream localhost:50051
  portcall attach --upstream unix:/run/app.sock --hub hub:7070
  portcall attach --upstream localhost:50051 --service shop.Cart
  portcall attach --upstream shop.internal:443 --upstream-tls-ca ca.pem

\b
Where the upstream has no server reflection:
  protoc --include_imports --descriptor_set_out shop.binpb shop.proto
  portcall attach --upstream localhost:50051 --descriptor-set shop.binpb

While the upstream is away, or its health service (grpc.health.v1) says that it is not serving, the fleet sends it no
calls; it is back when it is healthy, with the methods that it has then. Upstream and hub are dialled for ever.

The first SIGTERM or Ctrl-C drains: no new calls are taken, and those that run have --grace seconds to finish. The
second one stops at once."""
)
@setting(
    "--upstream",
    "The gRPC server to bring into the fleet. Also unix:PATH.",
    metavar="HOST:PORT",
    variable="PORTCALL_ATTACH_UPSTREAM",
    shown="none; it is required",
    is_needed=True,
)
@upstream_tls
@setting(
    "--upstream-authority",
    "Name that the upstream is called by, and that its certificate has to have.",
    metavar="NAME",
    variable="PORTCALL_ATTACH_UPSTREAM_AUTHORITY",
    shown="that in --upstream",
)
@hub_access
@setting(
    "--descriptor-set",
    "What the upstream serves, from protoc --include_imports --descriptor_set_out FILE.",
    metavar="FILE",
    type=click.Path(path_type=Path),
    variable="PORTCALL_ATTACH_DESCRIPTOR_SET",
    shown="ask the upstream by server reflection",
)
@setting(
    "--service",
    "Bring this service of the upstream alone; may be said several times.",
    metavar="NAME",
    multiple=True,
    variable="PORTCALL_ATTACH_SERVICE",
    shown="all that it has",
)
@setting(
    "--slots",
    "How many calls to take at once.",
    type=count,
    metavar="N",
    default=SLOTS_DEFAULT,
    variable="PORTCALL_ATTACH_SLOTS",
)
@setting(
    "--name",
    "How the fleet shall call it.",
    metavar="NAME",
    variable="PORTCALL_ATTACH_NAME",
    shown="HOST-PID",
)
@setting(
    "--grace",
    "When told to stop, how long the calls that run may take to finish.",
    type=seconds,
    metavar="S",
    default=GRACE_S_DEFAULT,
    variable="PORTCALL_ATTACH_GRACE",
)
@log_level("PORTCALL_ATTACH_LOG_LEVEL")
@exit_with_stdin
def attach(
    *,
    upstream: str | None,
    upstream_tls: Tls | None,
    upstream_authority: str | None,
    access: Access,
    descriptor_set: Path | None,
    service: tuple[str, ...] | None,
    slots: int,
    name: str | None,
    grace: float,
    log_level: str,
) -> None:
    """Bring a gRPC server in any language into the fleet.

    A sidecar of the server, which stays as it is: it attaches to the hub as a worker does, and forwards every call.
    """
    if upstream is None:
        raise click.UsageError("which server? Say --upstream HOST:PORT or unix:PATH", click.get_current_context())
    config = SidecarConfig(
        upstream=upstream,
        upstream_tls=upstream_tls,
        upstream_authority=upstream_authority,
        access=access,
        descriptor_set=descriptor_set,
        services=service or (),
        slots=slots,
        name=name,
    )
    sidecar = Sidecar(config)
    start_logging(log_level)
    if descriptor_set is not None:
        read_descriptor_set(descriptor_set, config.services)  # says what is wrong with it before anything is dialled
    logger.info("A sidecar of %s with %d slots dials the hub at %s", upstream, slots, access.target)
    asyncio.run(_serve_healthily(sidecar, grace_s=grace))


async def _serve_healthily(sidecar: Sidecar, *, grace_s: float) -> None:
    tune_collector()
    async with answering_health(lambda: sidecar.is_attached):
        await _serve(sidecar, grace_s=grace_s)


async def _serve(sidecar: Sidecar, *, grace_s: float) -> None:
    with stop_signals() as signalled:
        starting = asyncio.get_running_loop().create_task(sidecar.start())
        signalled.add_done_callback(lambda _: starting.cancel())
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await starting
            number = await signalled
            logger.info("%s: draining for up to %g s; once more stops at once", number.name, grace_s)
        finally:
            await sidecar.stop(grace_s)
    exit_within(LEAVE_S, EXIT_DONE)
