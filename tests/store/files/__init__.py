"""Stores of earlier versions, and what is in them."""
