"""The link: frames, batching, flow control, and the bridge between a gRPC call and frames.

Owns everything that both ends of a link share, and how a hub is reached (`access`: address, TLS, token). Only `pump`,
`dialer` and `native` speak to the network, and `access`, `tokens` and `certificates` read small files; the rest takes
bytes and clock readings and returns bytes, so that two ends can be driven against each other without sockets. May
import `portcall.protos` and `portcall.errors`.
"""
