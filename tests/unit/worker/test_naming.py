"""What a worker is called where nobody has said it."""

import pytest

from portcall.worker.naming import container_of, name_of

ID = "3f2a1c9d0b7e" + "0" * 52
PLAIN = "22 28 0:20 / /sys rw,nosuid - sysfs sysfs rw\n"


@pytest.mark.parametrize(
    ("line", "container"),
    [
        (f"640 634 254:0 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/vda rw\n", ID[:12]),
        (f"6 4 0:2 /c/overlay-containers/{ID}/userdata/hosts /etc/hosts rw,nosuid - tmpfs tmpfs rw\n", ID[:12]),
        (f"9 8 0:44 / /var/lib/docker/containers/{ID}/mounts/shm rw - tmpfs shm rw\n", ""),  # a host, seen from outside
        ("9 8 0:44 / /etc/hosts rw - tmpfs shm rw\n", ""),
        ("", ""),
    ],
)
def test_a_container_is_known_by_what_is_mounted_in_it(line: str, container: str) -> None:
    assert container_of(PLAIN + line + PLAIN) == container


@pytest.mark.parametrize(
    ("host", "pid", "container", "name"),
    [
        ("crane", 4711, "", "crane-4711"),
        ("crane", 1, "3f2a1c9d0b7e", "crane-3f2a1c9d0b7e"),
        ("crane", 7, "3f2a1c9d0b7e", "crane-3f2a1c9d0b7e-7"),
        ("3f2a1c9d0b7e", 1, "3f2a1c9d0b7e", "3f2a1c9d0b7e"),
        ("3f2a1c9d0b7e", 7, "3f2a1c9d0b7e", "3f2a1c9d0b7e-7"),
        ("pod-x2x", 1, "", "pod-x2x-1"),
    ],
)
def test_names_lead_to_their_workers(host: str, pid: int, container: str, name: str) -> None:
    assert name_of(host, pid, container) == name
