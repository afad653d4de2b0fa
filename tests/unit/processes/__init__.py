"""A worker in several processes: what is decided, without any process."""
