"""How the garbage collector is set in our processes, each time in a process of its own."""

import subprocess
import sys


def thresholds_after(*lines: str) -> str:
    """Return what a program prints that runs these lines and then shows its thresholds."""
    program = "\n".join(["import gc", *lines, "print(*gc.get_threshold(), gc.get_freeze_count() > 0)"])
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, timeout=60)
    return done.stdout.decode().strip()


def test_what_is_loaded_is_frozen_and_collections_are_fewer() -> None:
    shown = thresholds_after("from portcall.cli.collector import tune_collector", "tune_collector()")
    assert shown == "5000 10 100 True"


def test_what_an_app_has_set_stays() -> None:
    shown = thresholds_after(
        "from portcall.cli.collector import tune_collector", "gc.set_threshold(123, 4, 5)", "tune_collector()"
    )
    assert shown == "123 4 5 True"
