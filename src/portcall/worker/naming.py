"""What a worker is called where nobody has said it: by its host and its process, or by its container."""

import os
import re
import socket
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_CONTAINER = re.compile(r"^\S+ \S+ \S+ \S*/([0-9a-f]{64})/\S* /etc/(?:hostname|hosts|resolv\.conf) ", re.MULTILINE)
SHORT = 12
"""How much of an id `docker ps` shows."""


def worker_name() -> str:
    """Return a name that no other worker has and that leads to this one."""
    try:
        mounts = _MOUNTS.read_text()
    except OSError:
        mounts = ""
    return name_of(socket.gethostname(), os.getpid(), container_of(mounts))


def container_of(mounts: str) -> str:
    """Return the short id of the container whose mounts these are, "" if they are those of none.

    Docker and podman mount files of the container's own folder, which is named by its id, over these.
    """
    match = _CONTAINER.search(mounts)
    return match[1][:SHORT] if match else ""


def name_of(host: str, pid: int, container: str) -> str:
    """Return the name: HOST-PID; in a container, where each has a process 1, HOST-CONTAINER."""
    parts = [host]
    if container not in ("", host):  # a network of the container's own names the host by it
        parts.append(container)
    if pid != 1 or not container:
        parts.append(str(pid))
    return "-".join(parts)
