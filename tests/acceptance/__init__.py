"""Real `portcall` processes, from their command line to their end."""
