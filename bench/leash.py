"""Run a module as `python -m` would, and end the process as soon as its standard input does.

Run as `python -m bench.leash MODULE [ARGUMENT ...]`. So no server outlives the benchmark that started it, however that
ended: the kernel closes the pipe.
"""

import os
import runpy
import sys
import threading


def _end_with_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def main() -> None:
    """Run the module that the command line names."""
    sys.argv = sys.argv[1:]
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
