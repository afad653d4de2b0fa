"""What a worker serves: its services and methods, their descriptors, and the registry of all that a fleet serves.

Owns contracts and their fingerprints, what reflection tells of them, and the compiler that makes Python of `.proto`
files. May import `portcall.protos` and `portcall.errors`.
"""
