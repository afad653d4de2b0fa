// The published interoperability cases by grpc-js, against any server: `node client.js PROTO ADDRESS [CASE_TO_LEAVE ...]`.
//
// For each case it prints a line of JSON: {"case": NAME, "error": null or what was wrong}.
'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const [, , proto, address, ...left] = process.argv;
const CASE_MS = 20_000;
const definition = protoLoader.loadSync(proto, { keepCase: true, defaults: true, longs: Number });
const { Interop, Unregistered } = grpc.loadPackageDefinition(definition).interop;
const options = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };
const client = new Interop(address, grpc.credentials.createInsecure(), options);
const { status } = grpc;

const PERIOD = Buffer.from(Array.from({ length: 251 }, (_, index) => index));
const body = (size) => Buffer.alloc(size, PERIOD);
const STREAM_REQUEST_BYTES = [27182, 8, 1828, 45904];
const STREAM_REPLY_BYTES = [31415, 9, 2653, 58979];

function metadataOf(entries) {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(entries)) metadata.add(key, value);
  return metadata;
}

// Makes a unary call; resolves with all that came of it, whatever its status.
function unary(method, request, { metadata = {}, ...callOptions } = {}) {
  return new Promise((resolve) => {
    const seen = {};
    const call = client[method](request, metadataOf(metadata), callOptions, (error, reply) => {
      Object.assign(seen, { error, reply });
    });
    call.on('metadata', (initial) => { seen.initial = initial; });
    call.on('status', (end) => resolve({ ...seen, ...end }));
  });
}

// Collects the replies of a stream; resolves with them and its status.
function finished(call) {
  return new Promise((resolve) => {
    const replies = [];
    call.on('data', (reply) => replies.push(reply));
    call.on('error', () => {}); // the status says it
    call.on('status', (end) => resolve({ replies, ...end }));
  });
}

const sizes = (replies) => replies.map((reply) => reply.body.length);

const CASES = {
  async empty_unary() {
    const { code, reply } = await unary('EmptyCall', {});
    assert.equal(code, status.OK);
    assert.deepEqual(reply, {});
  },

  async large_unary() {
    const { code, reply } = await unary('UnaryCall', { body: body(271828), reply_bytes: 314159 });
    assert.equal(code, status.OK);
    assert.ok(reply.body.equals(body(314159)));
  },

  async client_streaming() {
    const reply = await new Promise((resolve, reject) => {
      const call = client.StreamingInputCall((error, answer) => (error ? reject(error) : resolve(answer)));
      for (const size of STREAM_REQUEST_BYTES) call.write({ body: body(size) });
      call.end();
    });
    assert.equal(reply.messages, 4);
    assert.equal(reply.body_bytes, 74922);
  },

  async server_streaming() {
    const { code, replies } = await finished(client.StreamingOutputCall({ reply_bytes: STREAM_REPLY_BYTES }));
    assert.equal(code, status.OK);
    assert.deepEqual(sizes(replies), STREAM_REPLY_BYTES);
    assert.ok(replies.every((reply) => reply.body.equals(body(reply.body.length))));
  },

  async ping_pong() {
    const call = client.FullDuplexCall();
    const end = once(call, 'status');
    for (const [index, size] of STREAM_REPLY_BYTES.entries()) {
      const answered = once(call, 'data');
      call.write({ body: body(STREAM_REQUEST_BYTES[index]), reply_bytes: [size] });
      assert.deepEqual(sizes(await answered), [size]);
    }
    call.end();
    assert.equal((await end)[0].code, status.OK);
  },

  async empty_stream() {
    const call = client.FullDuplexCall();
    const end = finished(call);
    call.end();
    const { code, replies } = await end;
    assert.equal(code, status.OK);
    assert.deepEqual(replies, []);
  },

  async custom_metadata() {
    const metadata = { 'x-echo-initial': 'initial value', 'x-echo-trailing-bin': Buffer.from([0xab, 0, 0xff]) };
    const end = await unary('UnaryCall', { reply_bytes: 1 }, { metadata });
    assert.equal(end.code, status.OK);
    assert.deepEqual(end.initial.get('x-echo-initial'), ['initial value']);
    assert.deepEqual(end.metadata.get('x-echo-trailing-bin'), [Buffer.from([0xab, 0, 0xff])]);
  },

  async status_code_and_message() {
    const wanted = { code: status.UNKNOWN, details: 'test status message' };
    const end = await unary('UnaryCall', { status: wanted });
    assert.deepEqual({ code: end.code, details: end.details }, wanted);
    const call = client.FullDuplexCall();
    call.write({ status: wanted });
    call.end();
    const { code, details } = await finished(call);
    assert.deepEqual({ code, details }, wanted);
  },

  async special_status_message() {
    const details = '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n';
    const end = await unary('UnaryCall', { status: { code: status.UNKNOWN, details } });
    assert.equal(end.details, details);
  },

  async rich_error() {
    const rich = Buffer.from([8, 3, 18, 3, 98, 97, 100, 26, 3, 10, 1, 120]); // code, message and one detail
    const asked = { code: status.INVALID_ARGUMENT, details: 'bad' };
    const end = await unary('UnaryCall', { status: asked }, { metadata: { 'x-send-status-details-bin': rich } });
    assert.equal(end.code, status.INVALID_ARGUMENT);
    assert.deepEqual(end.metadata.get('grpc-status-details-bin'), [rich]);
  },

  async unimplemented_method() {
    assert.equal((await unary('UnimplementedCall', {})).code, status.UNIMPLEMENTED);
  },

  async unimplemented_service() {
    const other = new Unregistered(address, grpc.credentials.createInsecure());
    const code = await new Promise((resolve) => {
      other.UnimplementedCall({}, (error) => resolve(error?.code));
    });
    other.close();
    assert.equal(code, status.UNIMPLEMENTED);
  },

  async initial_metadata_comes_before_the_reply() {
    const call = client.UnaryCall({}, metadataOf({ 'x-echo-initial': 'early', 'x-hang': 'yes' }), () => {});
    const [initial] = await once(call, 'metadata');
    assert.deepEqual(initial.get('x-echo-initial'), ['early']);
    const end = once(call, 'status');
    call.cancel();
    assert.equal((await end)[0].code, status.CANCELLED);
  },

  async cancel_after_begin() {
    const call = client.StreamingInputCall(() => {});
    const end = once(call, 'status');
    call.cancel();
    assert.equal((await end)[0].code, status.CANCELLED);
  },

  async cancel_reaches_the_server() {
    const count = async () => {
      const { initial } = await unary('UnaryCall', {}, { metadata: { 'x-tell-cancelled': 'yes' } });
      return Number(initial.get('x-cancelled')[0]);
    };
    const before = await count();
    const call = client.StreamingOutputCall({}, metadataOf({ 'x-hang': 'yes' }));
    call.on('error', () => {});
    await once(call, 'metadata');
    call.cancel();
    while ((await count()) === before); // the server counts it when it gets there
  },

  async timeout_on_sleeping_server() {
    const end = await unary('UnaryCall', {}, { metadata: { 'x-hang': 'yes' }, deadline: Date.now() + 50 });
    assert.equal(end.code, status.DEADLINE_EXCEEDED);
  },

  async deadline_reaches_the_server() {
    const asked = { 'x-tell-time-left': 'yes' };
    const limited = await unary('UnaryCall', {}, { metadata: asked, deadline: Date.now() + 3_600_000 });
    const left = Number(limited.initial.get('x-time-left-ms')[0]);
    assert.ok(left > 3_000_000 && left < 3_700_000, `${left} ms`); // gRPC rounds long ones
    const unlimited = await unary('UnaryCall', {}, { metadata: asked });
    assert.deepEqual(unlimited.initial.get('x-time-left-ms'), ['none']);
  },

  async concurrent_large_unary() {
    const calls = Array.from({ length: 50 }, () => unary('UnaryCall', { body: body(27182), reply_bytes: 31415 }));
    for (const { code, reply } of await Promise.all(calls)) {
      assert.equal(code, status.OK);
      assert.equal(reply.body.length, 31415);
    }
  },
};

function inTime(work) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`not done in ${CASE_MS} ms`)), CASE_MS).unref();
  });
  return Promise.race([work, late]);
}

async function main() {
  for (const [name, run] of Object.entries(CASES)) {
    if (left.includes(name)) continue;
    let error = null;
    try {
      await inTime(run());
    } catch (caught) {
      error = caught.stack;
    }
    console.log(JSON.stringify({ case: name, error }));
  }
  process.exit(0);
}

main();
