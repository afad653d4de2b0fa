"""The switchboard: which call goes to which worker, when, and how it ends. Sans-I/O.

Owns every decision about calls. Imports the generated protos and nothing else of Portcall but its errors; no asyncio,
grpc, logging, `time` or `random`: clock readings come in as values, frames go out through the `send` that each port
was given.
"""
