"""The client: a drop-in `grpc.aio.Channel` whose calls travel on a link.

Owns channels and what they add to gRPC's (`map`). May import `portcall.wire`, `portcall.protos` and `portcall.errors`.
"""

from portcall.client.channel import Channel

__all__ = ["Channel"]
