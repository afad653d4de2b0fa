// The reference servicer of the interoperability cases, by gRPC for Go: `server`.
//
// It says `serving on ADDRESS` and ends with its standard input. Some of what it does is asked for by metadata; see
// `README.md` beside it. What protoc makes of the contract is built into the same package.

package main

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"math"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/golang/protobuf/proto"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
)

const period = 251

var cancelled int64

// As `payloads.body` of the Python side.
func body(size int32) []byte {
	made := make([]byte, size)
	for index := range made {
		made[index] = byte(index % period)
	}
	return made
}

type asked struct{ metadata.MD }

func askedBy(ctx context.Context) asked {
	given, _ := metadata.FromIncomingContext(ctx)
	return asked{given}
}

func (given asked) has(key string) bool { return len(given.Get(key)) > 0 }

// What initial metadata and trailers the call asks for.
func (given asked) heed(ctx context.Context) (initial, trailers metadata.MD) {
	initial, trailers = metadata.MD{}, metadata.MD{}
	initial.Append("x-echo-initial", given.Get("x-echo-initial")...)
	if given.has("x-tell-time-left") {
		left := "none"
		if deadline, is := ctx.Deadline(); is {
			left = strconv.FormatInt(time.Until(deadline).Milliseconds(), 10)
		}
		initial.Set("x-time-left-ms", left)
	}
	if given.has("x-tell-cancelled") {
		initial.Set("x-cancelled", strconv.FormatInt(atomic.LoadInt64(&cancelled), 10))
	}
	trailers.Append("x-echo-trailing-bin", given.Get("x-echo-trailing-bin")...)
	return initial, trailers
}

// The status that a request asks for. Go sends rich details only as part of the status itself.
func (given asked) end(wanted *EchoStatus) error {
	if rich := given.Get("x-send-status-details-bin"); len(rich) > 0 {
		whole := &spb.Status{}
		if err := proto.Unmarshal([]byte(rich[0]), whole); err != nil {
			return err
		}
		return status.ErrorProto(whole)
	}
	return status.Error(codes.Code(wanted.GetCode()), wanted.GetDetails())
}

func hang(ctx context.Context) error {
	<-ctx.Done()
	atomic.AddInt64(&cancelled, 1)
	return status.FromContextError(ctx.Err()).Err()
}

type sender interface {
	Send(*StreamReply) error
}

func answer(stream sender, request *StreamRequest) error {
	checksum := crc32.ChecksumIEEE(request.Body)
	for _, size := range request.ReplyBytes {
		if err := stream.Send(&StreamReply{Body: body(size), RequestChecksum: checksum}); err != nil {
			return err
		}
	}
	return nil
}

type servicer struct{ UnimplementedInteropServer }

func (*servicer) EmptyCall(context.Context, *Empty) (*Empty, error) { return &Empty{}, nil }

func (*servicer) UnaryCall(ctx context.Context, request *UnaryRequest) (*UnaryReply, error) {
	given := askedBy(ctx)
	initial, trailers := given.heed(ctx)
	if len(initial) > 0 {
		if err := grpc.SendHeader(ctx, initial); err != nil {
			return nil, err
		}
	}
	if given.has("x-hang") {
		return nil, hang(ctx)
	}
	if err := grpc.SetTrailer(ctx, trailers); err != nil {
		return nil, err
	}
	reply := &UnaryReply{Body: body(request.ReplyBytes), RequestChecksum: crc32.ChecksumIEEE(request.Body)}
	return reply, given.end(request.Status)
}

func (*servicer) StreamingOutputCall(request *StreamRequest, stream Interop_StreamingOutputCallServer) error {
	given, err := begin(stream)
	if err != nil {
		return err
	}
	if given.has("x-hang") {
		if err := stream.SendHeader(nil); err != nil {
			return err
		}
		return hang(stream.Context())
	}
	if err := answer(stream, request); err != nil {
		return err
	}
	return given.end(request.Status)
}

func (*servicer) StreamingInputCall(stream Interop_StreamingInputCallServer) error {
	if _, err := begin(stream); err != nil {
		return err
	}
	reply := &InputReply{}
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(reply)
		}
		if err != nil {
			return err
		}
		reply.Messages++
		reply.BodyBytes += int64(len(request.Body))
		reply.RequestsChecksum = crc32.Update(reply.RequestsChecksum, crc32.IEEETable, request.Body)
	}
}

func (*servicer) FullDuplexCall(stream Interop_FullDuplexCallServer) error {
	given, err := begin(stream)
	if err != nil {
		return err
	}
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := answer(stream, request); err != nil {
			return err
		}
		if request.Status.GetCode() != 0 {
			return given.end(request.Status)
		}
	}
}

func (*servicer) HalfDuplexCall(stream Interop_HalfDuplexCallServer) error {
	var requests []*StreamRequest
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		requests = append(requests, request)
	}
	for _, request := range requests {
		if err := answer(stream, request); err != nil {
			return err
		}
	}
	return nil
}

// Begins a stream: what its metadata asks for is set, and goes with what is sent first.
func begin(stream grpc.ServerStream) (asked, error) {
	given := askedBy(stream.Context())
	initial, trailers := given.heed(stream.Context())
	stream.SetTrailer(trailers)
	return given, stream.SetHeader(initial)
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(math.MaxInt32))
	RegisterInteropServer(server, &servicer{})
	healthpb.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	fmt.Printf("serving on %s\n", listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		server.Stop()
	}()
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}
