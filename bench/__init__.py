"""Portcall beside plain grpcio: the same calls, from real processes on one machine, measured side by side in one run.

`python -m bench` prints one table; `docs/performance.md` says what each row means. The parts:

`echo.proto`, `service`     what is called: the same servicer code behind a `grpc.aio` server and behind a worker
`serving`, `attaching`, `calling`   what the processes run, beside `portcall hub`; `leash` ends them with the one that
started them
`processes`, `stand`        starting processes, and the sets of them that a measurement needs
`loads`                     how a client makes its calls and what it counts
`speed`, `memory`           the measurements themselves, with the bars of each
`rows`, `report`            results, and how they are printed

Not part of the package that is installed. May import `portcall`; nothing imports it.
"""
