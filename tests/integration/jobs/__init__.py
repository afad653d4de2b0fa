"""Jobs over real sockets, in one process: `portcall.testing` is what these tests, too, are written with."""
