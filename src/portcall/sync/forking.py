"""Forks: what a blocking channel does so that parent and child both can go on calling.

gRPC's threads do not survive a fork, and what they left half done makes gRPC hang or abort in the child. But gRPC can
be let go of: when the last stream and channel are gone, so are its threads. So before a fork every engine suspends its
link, as if the connection had dropped, and the parent resumes it afterwards: calls under way go on. The child inherits
neither thread nor socket, and its first call starts an engine and a session of its own.

That works unless the program has other gRPC objects, such as a plain channel. Their threads stay, and the child could
do nothing but hang, so its calls raise at once and say why. With GRPC_ENABLE_FORK_SUPPORT gRPC mends itself in the
child, but for `grpc.aio`, whose poller it knows nothing of.
"""

import os
import threading
import time
import weakref
from enum import Enum
from pathlib import Path
from typing import Final, Protocol

from grpc._cython import cygrpc

from portcall.errors import ConfigurationError

CORE_THREADS: Final = frozenset({"event_engine", "grpc_global_tim", "lifeguard"})
"""How gRPC's core names its threads, as the kernel cuts the names."""

CORE_GONE_S: Final = 0.5
"""How long a fork waits for gRPC's threads to end, once nothing of ours needs them: far longer than they take."""

POLLER_FUNCTION: Final = "_poll_wrapper"
"""What the thread of `grpc.aio`'s poller runs, and so a part of its name."""

TASKS: Final = Path("/proc/self/task")

gate = threading.Lock()
"""Held while an engine starts, and from before a fork until after it: none starts while the others let go of gRPC."""


class Found(Enum):
    """What of gRPC is at work in this process, as far as a fork minds. The value says what to do about it."""

    NOTHING = ""
    CORE = (
        "a gRPC channel or server was at work in its parent. Set GRPC_ENABLE_FORK_SUPPORT=1 in the environment, or make"
        " gRPC channels and servers after the fork, or start the process by 'spawn' or 'forkserver'"
    )
    POLLER = (
        "grpc.aio was at work in its parent. Make the channels and servers of grpc.aio after the fork, or start the"
        " process by 'spawn' or 'forkserver'"
    )


class Forkable(Protocol):
    """What takes part in forks."""

    def before_fork(self) -> bool:
        """Let go of gRPC; return whether there was anything to let go of."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Begin anew."""


_watched: "weakref.WeakSet[Forkable]" = weakref.WeakSet()
_found_at_fork = Found.NOTHING
_found_in_parent = Found.NOTHING


def watch(channel: Forkable) -> None:
    """Have this take part in forks for as long as it lives."""
    _watched.add(channel)


def check() -> None:
    """Make sure that gRPC can work in this process.

    Raises:
        ConfigurationError: the process was forked while gRPC was at work in its parent.
    """
    if _found_in_parent is not Found.NOTHING:
        raise ConfigurationError(
            f"This process was forked while {_found_in_parent.value}; gRPC's threads do not survive a fork"
        )


def find() -> Found:
    """Return what of gRPC is at work and would leave a child of this process without a working gRPC."""
    if any(POLLER_FUNCTION in thread.name for thread in threading.enumerate()):
        return Found.POLLER
    if not cygrpc.is_fork_support_enabled() and _has_core_threads():
        return Found.CORE
    return Found.NOTHING


def _has_core_threads() -> bool:
    """Whether gRPC's core has threads; yes, where the system does not tell."""
    try:
        return any((task / "comm").read_text().strip() in CORE_THREADS for task in TASKS.iterdir())
    except OSError:
        return True


def _before() -> None:
    global _found_at_fork  # noqa: PLW0603  # the state of a process is global
    gate.acquire()
    let_go = [channel.before_fork() for channel in list(_watched)]
    until = time.monotonic() + (CORE_GONE_S if any(let_go) else 0.0)
    while (found := find()) is not Found.NOTHING and time.monotonic() < until:
        time.sleep(0.001)  # core says nothing when its threads end
    _found_at_fork = found


def _after_in_parent() -> None:
    for channel in list(_watched):
        channel.after_fork_in_parent()
    gate.release()


def _after_in_child() -> None:
    global _found_in_parent  # noqa: PLW0603  # the state of a process is global
    if _found_in_parent is Found.NOTHING:
        _found_in_parent = _found_at_fork
    for channel in list(_watched):
        channel.after_fork_in_child()
    gate.release()


os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
