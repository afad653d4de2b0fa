// A gRPC server as one writes it for Node. Nothing in it knows of Portcall.
'use strict';

const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');
const { ReflectionService } = require('@grpc/reflection');
const { HealthImplementation } = require('grpc-health-check');

const definition = protoLoader.loadSync(path.join(__dirname, '..', 'greeter', 'greet.proto'));
const { greet } = grpc.loadPackageDefinition(definition);

const server = new grpc.Server();
server.addService(greet.Greeter.service, {
  sayHello(call, callback) {
    callback(null, { message: `Hello ${call.request.name}, from Node` });
  },
});
// By reflection the sidecar learns the methods, by health when to send calls and when not.
new ReflectionService(definition).addToServer(server);
const health = new HealthImplementation({ '': 'SERVING' });
health.addToServer(server);

const address = process.argv[2] ?? '127.0.0.1:50051';
server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  console.log(`serving on ${address}`);
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    health.setStatus('', 'NOT_SERVING');
    server.tryShutdown(() => process.exit(0));
  });
}
