"""Pure tests: no sockets, no clocks but those that a test winds."""
