#!/usr/bin/env bash
# Builds the Go peer: build.sh INTEROP_PROTO FOLDER. Of Debian's packages alone: nothing is fetched.
set -euo pipefail
proto=$1 folder=$2 here=$(cd "$(dirname "$0")" && pwd)
protoc -I "$(dirname "$proto")" --go_out plugins=grpc,import_path=main:"$folder" "$proto"
cp "$here/server.go" "$folder"
cd "$folder"
GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS=-trimpath GOCACHE="$folder/cache" CGO_ENABLED=0 \
  go build -o server server.go interop.pb.go
