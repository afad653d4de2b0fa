"""Where generated code looks for Portcall's own.

A contract that imports `portcall/v1/options.proto` becomes a module that imports `portcall.v1.options_pb2`. The code
itself is in `portcall.protos`, which is all that this package imports.
"""
