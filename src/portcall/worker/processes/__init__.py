"""A worker in several processes: `portcall worker app:worker --processes N`.

Owns the supervisor, which has the link to the hub and the processes, and the end of the link that is in each process.
What is decided is in `states` and `crew`, which are pure; the rest acts. May import `portcall.core` too, since calls
are spread over processes as a hub spreads them over workers.

Theory of operation. The supervisor never imports the app, so nothing of the app can hold it up. It starts each process
by exec, over a socket of its own that carries the same frames as any link, and dials the hub once the first of them has
said what it serves. A `Switchboard` gives each call to the process with the most free slots.

No call is run twice, and none is lost that was not running: a process writes the id of each call into memory that the
supervisor shares before it enters the handler, and calls begin in the order of their ids. When a process is gone, the
calls above that mark have never begun, and go to others with all that was sent of them.
"""

from portcall.worker.processes.crew import CrewRules
from portcall.worker.processes.runner import AppFailedError
from portcall.worker.processes.supervisor import Supervisor, SupervisorConfig

__all__ = ["AppFailedError", "CrewRules", "Supervisor", "SupervisorConfig"]
