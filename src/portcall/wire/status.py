"""gRPC's numbers for status codes and compression, as grpcio's enums."""

import grpc

from portcall.protos.portcall.v1 import link_pb2

STATUS_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
"""By number. A number that is not here means UNKNOWN."""

COMPRESSION_OUT: dict[int, grpc.Compression] = {
    link_pb2.COMPRESSION_DEFLATE: grpc.Compression.Deflate,
    link_pb2.COMPRESSION_GZIP: grpc.Compression.Gzip,
}
COMPRESSION_IN: dict[grpc.Compression, link_pb2.Compression] = {
    grpc.Compression.NoCompression: link_pb2.COMPRESSION_NONE,
    grpc.Compression.Deflate: link_pb2.COMPRESSION_DEFLATE,
    grpc.Compression.Gzip: link_pb2.COMPRESSION_GZIP,
}


def status_code(number: int) -> grpc.StatusCode:
    """Return the status code with this number; UNKNOWN for one that gRPC does not have."""
    return STATUS_CODES.get(number, grpc.StatusCode.UNKNOWN)
