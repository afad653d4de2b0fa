"""Asks a process of ours in the same container whether it is healthy.

This file is run by itself, as an image's health check, every few seconds: so it imports nothing that costs time, and
nothing of Portcall. Who answers is `portcall.cli.health`.
"""

import os
import socket
import sys

HEALTH_VARIABLE = "PORTCALL_HEALTH"
"""Path of the socket that the process answers at; without it there is none."""

HEALTHY = b"healthy\n"
UNHEALTHY = b"not attached\n"
ANSWER_S = 4.0
"""A process that has not answered within this does not work: its event loop does not turn."""


def main() -> int:
    """Print the answer; return 0 if it is that the process is healthy, else 1."""
    path = os.environ.get(HEALTH_VARIABLE, "")
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_S)
            connection.connect(path)
            answer = connection.recv(64)
    except OSError as error:
        print(f"no answer: {error}")  # noqa: T201  # for `docker inspect`
        return 1
    print(answer.decode(errors="replace").strip())  # noqa: T201  # as above
    return 0 if answer == HEALTHY else 1


if __name__ == "__main__":
    sys.exit(main())
