"""`portcall call`: any method of any gRPC server, with JSON in and JSON out.

Owns what a user says and sees; JSON and descriptors are `portcall.contract`'s.
"""
