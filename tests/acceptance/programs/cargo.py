"""A stub of the app `cargo`, on any channel of the blocking API, and the one way to say something."""

from typing import Any

import grpc


class Cargo:
    """What a generated stub would be."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.Echo: Any = channel.unary_unary("/acceptance.Cargo/Echo")
        self.Hold: Any = channel.unary_stream("/acceptance.Cargo/Hold")
        self.HoldOnce: Any = channel.unary_unary("/acceptance.Cargo/Hold")
        self.Never: Any = channel.unary_stream("/acceptance.Cargo/Never")


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  # the test reads it
