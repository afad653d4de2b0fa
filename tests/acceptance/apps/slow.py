"""An app whose import does not end."""

import threading

print("importing", flush=True)  # noqa: T201
threading.Event().wait()
