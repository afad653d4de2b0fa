// A gRPC client as one writes it for Node. The address is the hub's; that is all there is to it.
'use strict';

const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const definition = protoLoader.loadSync(path.join(__dirname, '..', 'greeter', 'greet.proto'));
const { greet } = grpc.loadPackageDefinition(definition);

const hub = process.env.PORTCALL_HUB ?? '127.0.0.1:7070';
const greeter = new greet.Greeter(hub, grpc.credentials.createInsecure());
greeter.sayHello({ name: 'Ada' }, (error, reply) => {
  if (error) throw error;
  console.log(reply.message);
  greeter.close();
});
