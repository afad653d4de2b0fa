// The reference servicer of the interoperability cases, by grpc-js: `node server.js PROTO`.
//
// It says `serving on ADDRESS` and ends with its standard input. Some of what it does is asked for by metadata; see
// `README.md` beside it.
'use strict';

const zlib = require('node:zlib');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');
const { ReflectionService } = require('@grpc/reflection');
const { HealthImplementation } = require('grpc-health-check');

const definition = protoLoader.loadSync(process.argv[2], { keepCase: true, defaults: true, longs: Number });
const { Interop } = grpc.loadPackageDefinition(definition).interop;

// As `payloads.body` of the Python side.
const PERIOD = Buffer.from(Array.from({ length: 251 }, (_, index) => index));
const body = (size) => Buffer.alloc(size, PERIOD);

const crcTable = Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc >>> 0;
});
function crc32(bytes, before = 0) {
  if (zlib.crc32) return zlib.crc32(bytes, before);
  let crc = ~before >>> 0;
  for (const byte of bytes) crc = (crcTable[(crc ^ byte) & 0xff] ^ (crc >>> 8)) >>> 0;
  return ~crc >>> 0;
}

let cancelled = 0;

// Does what a call's metadata asks for; returns its trailers.
function heed(call) {
  const [initial] = call.metadata.get('x-echo-initial');
  const [left] = call.metadata.get('x-tell-time-left');
  const [count] = call.metadata.get('x-tell-cancelled');
  const headers = new grpc.Metadata();
  if (initial !== undefined) headers.set('x-echo-initial', initial);
  if (left !== undefined) {
    const deadline = call.getDeadline();
    headers.set('x-time-left-ms', deadline === Infinity ? 'none' : String(deadline - Date.now()));
  }
  if (count !== undefined) headers.set('x-cancelled', String(cancelled));
  if (initial !== undefined || left !== undefined || count !== undefined) call.sendMetadata(headers);
  const trailers = new grpc.Metadata();
  for (const value of call.metadata.get('x-echo-trailing-bin')) trailers.add('x-echo-trailing-bin', value);
  for (const value of call.metadata.get('x-send-status-details-bin')) trailers.set('grpc-status-details-bin', value);
  return trailers;
}

const isAskedToHang = (call) => call.metadata.get('x-hang').length > 0;
const noteCancel = (call) => call.on('cancelled', () => { cancelled += 1; });
const failure = ({ code, details }, metadata) => ({ code, details, metadata });

function streamReplies(call, request) {
  const request_checksum = crc32(request.body);
  for (const size of request.reply_bytes) call.write({ body: body(size), request_checksum });
}

// Whether the call was ended with the status that a request asks for.
function endWith(call, request, trailers) {
  if (!request.status?.code) return false;
  call.emit('error', failure(request.status, trailers));
  return true;
}

const server = new grpc.Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 });
server.addService(Interop.service, {
  EmptyCall: (call, callback) => callback(null, {}),

  UnaryCall(call, callback) {
    const trailers = heed(call);
    noteCancel(call);
    if (isAskedToHang(call)) return;
    const { request } = call;
    if (request.status?.code) {
      callback(failure(request.status, trailers));
      return;
    }
    callback(null, { body: body(request.reply_bytes), request_checksum: crc32(request.body) }, trailers);
  },

  StreamingOutputCall(call) {
    const trailers = heed(call);
    noteCancel(call);
    if (isAskedToHang(call)) {
      call.sendMetadata(new grpc.Metadata());
      return;
    }
    streamReplies(call, call.request);
    if (!endWith(call, call.request, trailers)) call.end(trailers);
  },

  StreamingInputCall(call, callback) {
    heed(call);
    noteCancel(call);
    let messages = 0;
    let body_bytes = 0;
    let requests_checksum = 0;
    call.on('data', (request) => {
      messages += 1;
      body_bytes += request.body.length;
      requests_checksum = crc32(request.body, requests_checksum);
    });
    call.on('end', () => callback(null, { messages, body_bytes, requests_checksum }));
  },

  FullDuplexCall(call) {
    const trailers = heed(call);
    noteCancel(call);
    let isOver = false;
    call.on('data', (request) => {
      if (isOver) return;
      streamReplies(call, request);
      isOver = endWith(call, request, trailers);
    });
    call.on('end', () => {
      if (!isOver) call.end(trailers);
    });
  },

  HalfDuplexCall(call) {
    const requests = [];
    call.on('data', (request) => requests.push(request));
    call.on('end', () => {
      for (const request of requests) streamReplies(call, request);
      call.end();
    });
  },
});
new ReflectionService(definition, { services: ['interop.Interop'] }).addToServer(server);
new HealthImplementation({ '': 'SERVING' }).addToServer(server);

server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`serving on 127.0.0.1:${port}`);
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
