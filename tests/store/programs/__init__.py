"""Processes that use a store, for tests that limit or kill them."""
