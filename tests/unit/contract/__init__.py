"""Contracts: what is taken from other processes, and what is told of it."""
