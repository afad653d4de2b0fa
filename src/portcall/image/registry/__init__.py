"""Registries: who we are there, what comes from them, what goes to them (the OCI distribution specification 1.1)."""
