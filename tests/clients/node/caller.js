// Calls `xds:///` targets with the xDS client of @grpc/grpc-js-xds.
//
// Each line of standard input is a call, {"target": …, "deadline": seconds}; each line of standard
// output is its outcome, {"code": …, "said": the answer or the details, "seconds": …}. A target
// keeps its channel.
"use strict";

const grpc = require("@grpc/grpc-js");
const readline = require("node:readline");

require("@grpc/grpc-js-xds").register();

const METHOD = "/hello.Hello/SayHello";
const clients = new Map();

function call({ target, deadline }) {
  if (!clients.has(target)) {
    clients.set(target, new grpc.Client(target, grpc.credentials.createInsecure()));
  }
  return new Promise((resolve) => {
    clients.get(target).makeUnaryRequest(
      METHOD,
      (message) => message,
      (bytes) => bytes.toString(),
      Buffer.alloc(0),
      new grpc.Metadata(),
      { deadline: Date.now() + deadline * 1000 },
      (error, answer) =>
        resolve(
          error
            ? { code: grpc.status[error.code], said: error.details }
            : { code: "OK", said: answer },
        ),
    );
  });
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const began = process.hrtime.bigint();
    const outcome = await call(JSON.parse(line));
    const seconds = Number(process.hrtime.bigint() - began) / 1e9;
    process.stdout.write(`${JSON.stringify({ ...outcome, seconds })}\n`);
  }
  process.exit(0);
}

main();
