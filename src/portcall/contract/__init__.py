"""What a worker serves: its services and methods, their descriptors, and the registry of all that a fleet serves.

Owns contracts and their fingerprints, and what reflection tells of them. May import `portcall.protos` and
`portcall.errors`.
"""
