"""A package, of which a module below is an app."""
