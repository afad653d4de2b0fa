// The reference servicer of the interoperability cases, by gRPC for C++: `server`.
//
// It says `serving on ADDRESS` and ends with its standard input. Some of what it does is asked for by metadata; see
// `README.md` beside it.

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <zlib.h>

#include <atomic>
#include <chrono>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "interop.grpc.pb.h"

namespace {

using grpc::ServerContext;
using grpc::Status;
using interop::StreamReply;
using interop::StreamRequest;

constexpr int kPeriod = 251;
std::atomic<int> cancelled{0};

// As `payloads.body` of the Python side.
std::string Body(int size) {
  std::string body(size, '\0');
  for (int index = 0; index < size; ++index) body[index] = static_cast<char>(index % kPeriod);
  return body;
}

uint32_t Checksum(const std::string& bytes, uint32_t before = 0) {
  return crc32(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
}

bool IsAsked(const ServerContext& context, const char* key) { return context.client_metadata().count(key) > 0; }

std::string TimeLeft(const ServerContext& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return "none";
  const auto left = deadline - std::chrono::system_clock::now();
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(left).count());
}

// Does what a call's metadata asks for.
void Heed(ServerContext* context) {
  for (const auto& [key, value] : context->client_metadata()) {
    const std::string name(key.data(), key.size());
    const std::string given(value.data(), value.size());
    if (name == "x-echo-initial") context->AddInitialMetadata(name, given);
    if (name == "x-tell-time-left") context->AddInitialMetadata("x-time-left-ms", TimeLeft(*context));
    if (name == "x-tell-cancelled") context->AddInitialMetadata("x-cancelled", std::to_string(cancelled.load()));
    if (name == "x-echo-trailing-bin") context->AddTrailingMetadata(name, given);
    if (name == "x-send-status-details-bin") context->AddTrailingMetadata("grpc-status-details-bin", given);
  }
}

Status Hang(ServerContext* context) {
  while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ++cancelled;
  return Status::CANCELLED;
}

Status Ended(const interop::EchoStatus& asked) {
  return Status(static_cast<grpc::StatusCode>(asked.code()), asked.details());
}

template <class Stream>
void Answer(const StreamRequest& request, Stream* stream) {
  StreamReply reply;
  for (const int size : request.reply_bytes()) {
    reply.set_body(Body(size));
    reply.set_request_checksum(Checksum(request.body()));
    stream->Write(reply);
  }
}

class Servicer final : public interop::Interop::Service {
  Status EmptyCall(ServerContext*, const interop::Empty*, interop::Empty*) override { return Status::OK; }

  Status UnaryCall(ServerContext* context, const interop::UnaryRequest* request, interop::UnaryReply* reply) override {
    Heed(context);
    context->set_compression_algorithm(GRPC_COMPRESS_GZIP);
    if (IsAsked(*context, "x-hang")) return Hang(context);
    reply->set_body(Body(request->reply_bytes()));
    reply->set_request_checksum(Checksum(request->body()));
    return Ended(request->status());
  }

  Status StreamingOutputCall(ServerContext* context, const StreamRequest* request,
                             grpc::ServerWriter<StreamReply>* writer) override {
    Heed(context);
    if (IsAsked(*context, "x-hang")) {
      writer->SendInitialMetadata();
      return Hang(context);
    }
    Answer(*request, writer);
    return Ended(request->status());
  }

  Status StreamingInputCall(ServerContext* context, grpc::ServerReader<StreamRequest>* reader,
                            interop::InputReply* reply) override {
    Heed(context);
    StreamRequest request;
    uint32_t checksum = 0;
    while (reader->Read(&request)) {
      reply->set_messages(reply->messages() + 1);
      reply->set_body_bytes(reply->body_bytes() + request.body().size());
      checksum = Checksum(request.body(), checksum);
    }
    reply->set_requests_checksum(checksum);
    return Status::OK;
  }

  Status FullDuplexCall(ServerContext* context, grpc::ServerReaderWriter<StreamReply, StreamRequest>* stream) override {
    Heed(context);
    context->set_compression_algorithm(GRPC_COMPRESS_DEFLATE);
    StreamRequest request;
    while (stream->Read(&request)) {
      Answer(request, stream);
      if (request.status().code() != 0) return Ended(request.status());
    }
    return Status::OK;
  }

  Status HalfDuplexCall(ServerContext*, grpc::ServerReaderWriter<StreamReply, StreamRequest>* stream) override {
    std::vector<StreamRequest> requests;
    for (StreamRequest request; stream->Read(&request);) requests.push_back(request);
    for (const StreamRequest& request : requests) Answer(request, stream);
    return Status::OK;
  }
};

}  // namespace

int main() {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  Servicer servicer;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.SetMaxReceiveMessageSize(-1);
  builder.RegisterService(&servicer);
  const auto server = builder.BuildAndStart();
  std::cout << "serving on 127.0.0.1:" << port << std::endl;
  for (std::string line; std::getline(std::cin, line);) continue;
  server->Shutdown(std::chrono::system_clock::now());
  return 0;
}
