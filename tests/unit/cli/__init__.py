"""What the command line knows by itself."""
