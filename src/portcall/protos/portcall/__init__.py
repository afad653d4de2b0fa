"""Where the compiler puts the code of `portcall/*.proto`."""
