"""What a worker says of the machine that it runs on."""

import os
import platform
import socket

from portcall.protos.portcall.v1.link_pb2 import Environment
from portcall.wire.image import IMAGE_VARIABLE, REVISION_VARIABLE


def report_environment() -> Environment:
    """Return this process's environment; what cannot be learnt stays empty."""
    return Environment(
        host=socket.gethostname(),
        pid=os.getpid(),
        os=_os_name(),
        kernel=platform.release(),
        architecture=platform.machine(),
        python=platform.python_version(),
        image=os.environ.get(IMAGE_VARIABLE, ""),
        revision=os.environ.get(REVISION_VARIABLE, ""),
    )


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return platform.system()
