"""What the machine says: cores that may be used, memory that a process uses."""

import math
import os
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Return how many cores this process may keep busy, by its affinity and the quota of its container."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    quota = _quota(cgroup)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def can_measure_memory() -> bool:
    """Whether `resident_bytes` knows anything here."""
    return resident_bytes(os.getpid()) > 0


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process; 0 if that cannot be learnt."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123  # every second, for every process
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0


def _quota(cgroup: Path) -> float | None:
    """Return how many cores' worth of time a control group has (versions 2 and 1); None for all there is."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota, period = (
                (cgroup / "cpu" / name).read_text().strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            )
        except OSError:
            return None
    return int(quota) / int(period) if quota.isdecimal() and int(quota) else None
