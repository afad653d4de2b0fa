"""The errors that Portcall raises, one class for each thing that a caller can do something about."""


class PortcallError(Exception):
    """Root of all errors that Portcall raises by itself.

    Calls raise `grpc.RpcError`, as they do on any gRPC channel; those are not Portcall's.
    """


class ConfigurationError(PortcallError):
    """A setting, a flag or an argument is wrong. Blames the caller; the message names it and says how to mend it."""


class ProtocolError(PortcallError):
    """The other side of a link broke the link's rules. Blames the peer; ends that link and no other."""
