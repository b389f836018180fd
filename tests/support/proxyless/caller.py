"""A program that calls `xds:///` targets with gRPC's own xDS client: `caller.py sync|aio`.

gRPC reads its bootstrap once in a process, so each client needs one of its own. Each line of
standard input is a call, `{"target": …, "deadline": seconds}`; each line of standard output is what
became of it: `{"code": …, "said": the answer or the details, "seconds": …}`. A target keeps its
channel.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import grpc

METHOD = "/hello.Hello/SayHello"

Call = Callable[[str, float], tuple[str, str]]
"""(target, seconds) → (name of the status code, the answer or the details)."""


def sync_caller() -> Call:
    channels: dict[str, grpc.Channel] = {}

    def call(target: str, deadline: float) -> tuple[str, str]:
        if target not in channels:
            channels[target] = grpc.insecure_channel(target)
        say: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channels[target].unary_unary(METHOD)
        try:
            answer = say(b"", timeout=deadline)
        except grpc.RpcError as error:
            return _refusal(error)
        return "OK", answer.decode()

    return call


def aio_caller() -> Call:
    channels: dict[str, grpc.aio.Channel] = {}
    runner = asyncio.Runner()

    async def ask(target: str, deadline: float) -> tuple[str, str]:
        if target not in channels:
            channels[target] = grpc.aio.insecure_channel(target)
        say: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channels[target].unary_unary(METHOD)
        try:
            answer = await say(b"", timeout=deadline)
        except grpc.RpcError as error:
            return _refusal(error)
        return "OK", answer.decode()

    return lambda target, deadline: runner.run(ask(target, deadline))


def _refusal(error: Any) -> tuple[str, str]:
    return error.code().name, error.details()


def main(flavour: str) -> None:
    call = {"sync": sync_caller, "aio": aio_caller}[flavour]()
    for line in sys.stdin:
        request = json.loads(line)
        began = time.monotonic()
        code, answer = call(request["target"], request["deadline"])
        taken = time.monotonic() - began
        print(json.dumps({"code": code, "said": answer, "seconds": taken}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
