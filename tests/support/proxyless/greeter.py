"""A server that gives one answer to everybody; as a program: `greeter.py HOST:PORT ANSWER`."""

from __future__ import annotations

import asyncio
import sys

import grpc


def greeter(answer: str) -> grpc.aio.Server:
    """Not started, and without a port yet."""

    async def say(_: bytes, __: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return answer.encode()

    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(say)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("hello.Hello", {"SayHello": handler}),)
    )
    return server


async def main(address: str, answer: str) -> None:
    server = greeter(answer)
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
