"""Images: what is decided about them, without an engine, a registry or a network."""
