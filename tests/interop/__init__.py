"""gRPC's interoperability cases, run alike on every route from a client to a servicer.

The route `direct` is grpcio alone: what passes there is what gRPC does, and a behaviour that Portcall's routes are held
to must pass there first. That is the whole meaning of *drop-in*. May import portcall's public names, hub and
sidecar, and nothing else of it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "protos"))  # protoc's output imports its neighbours by bare name
