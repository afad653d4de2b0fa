"""What `portcall/v1/options.proto` is compiled to, under the name that generated code imports it by."""

from portcall.protos.portcall.v1.options_pb2 import *  # noqa: F403  # all of it, whatever it has
