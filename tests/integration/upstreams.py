"""Servers that know nothing of a fleet, for sidecars to stand beside."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor_pool import Default, DescriptorPool
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha import reflection
from interop.service import SERVICE, registers
from interop.servicers import scripted

from portcall.wire.access import resolve_access
from portcall.worker.sidecar import Sidecar, SidecarConfig

from .stage import LONG_S, Stage

SERVING = HealthCheckResponse.SERVING
NOT_SERVING = HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN


class Health:
    """`grpc.health.v1` of a server, and who watches it."""

    def __init__(self, status: int) -> None:
        self._status = status
        self._changed = asyncio.Event()

    def set(self, status: int) -> None:
        self._status = status
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def handler(self) -> grpc.GenericRpcHandler:
        watch = grpc.unary_stream_rpc_method_handler(
            self._watch, HealthCheckRequest.FromString, HealthCheckResponse.SerializeToString
        )
        return grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Watch": watch})

    async def _watch(self, request: HealthCheckRequest, _: object) -> AsyncIterator[HealthCheckResponse]:
        assert request.service == ""
        while True:
            changed = self._changed
            yield HealthCheckResponse(status=self._status)
            await changed.wait()


class Upstream:
    """A `grpc.aio.Server` that can go and come back at the same address, with other methods if need be."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._server: grpc.aio.Server | None = None

    async def start(
        self,
        *,
        health: Health | None = None,
        handlers: Sequence[grpc.GenericRpcHandler] = (),
        services: Sequence[str] = (SERVICE,),
        pool: DescriptorPool | None = None,
        credentials: grpc.ServerCredentials | None = None,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        **methods: Any,
    ) -> None:
        """Serve `Interop` with these methods, or other handlers; and reflection, if there are `services`."""
        server = self._server = grpc.aio.server(interceptors=interceptors)
        if methods:
            registers(scripted(**methods))(server)
        server.add_generic_rpc_handlers(tuple(handlers))
        if health is not None:
            server.add_generic_rpc_handlers((health.handler(),))
        if services:
            names = (*services, reflection.SERVICE_NAME, *(["grpc.health.v1.Health"] if health else []))
            reflection.enable_server_reflection(names, server, pool=pool or Default())
        if credentials is None:
            port = server.add_insecure_port(self.address)
        else:
            port = server.add_secure_port(self.address, credentials)
        self.address = self.address.replace(":0", f":{port}")
        await server.start()

    async def stop(self, grace: float | None = None) -> None:
        if self._server is not None:
            await self._server.stop(grace)


class UpstreamStage:
    """A stage with upstreams and sidecars."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self._folder = folder
        self._names = itertools.count()

    def upstream(self, address: str | None = None) -> Upstream:
        """A server that has not started; by default at a path of its own."""
        upstream = Upstream(address or f"unix:{self._folder}/{next(self._names)}.sock")
        self.stage.on_exit(upstream.stop)
        return upstream

    async def serving(self, **options: Any) -> Upstream:
        """A server that has; for the options see `Upstream.start`."""
        upstream = self.upstream()
        await upstream.start(**options)
        return upstream

    def sidecar(self, upstream: Upstream, hub: str, **options: Any) -> Sidecar:
        """A sidecar that has not started."""
        sidecar = Sidecar(SidecarConfig(upstream=upstream.address, access=resolve_access(hub), **options))
        self.stage.on_exit(sidecar.stop)
        return sidecar

    async def joined(self, upstream: Upstream, hub: str, **options: Any) -> Sidecar:
        """A sidecar whose upstream is in the fleet."""
        sidecar = self.sidecar(upstream, hub, **options)
        async with asyncio.timeout(LONG_S):
            await sidecar.start()
        return sidecar
