#!/usr/bin/env bash
# Builds the C++ peer: build.sh INTEROP_PROTO FOLDER. Without optimisation: it shall be built quickly, not be quick.
set -euo pipefail
proto=$1 folder=$2 here=$(cd "$(dirname "$0")" && pwd)
protoc -I "$(dirname "$proto")" --cpp_out "$folder" --grpc_out "$folder" \
  --plugin=protoc-gen-grpc="$(command -v grpc_cpp_plugin)" "$proto"
cd "$folder"
compiling=()
for source in "$here/server.cc" interop.pb.cc interop.grpc.pb.cc; do
  "${CXX:-g++}" -std=c++17 -O0 -I. -c "$source" -o "$(basename "$source").o" &
  compiling+=($!)
done
for each in "${compiling[@]}"; do wait "$each"; done
"${CXX:-g++}" ./*.o -o server $(pkg-config --libs grpc++ protobuf) -lgrpc++_reflection -lz
