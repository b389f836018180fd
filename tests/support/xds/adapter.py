"""The adapter contract over gRPC: served to a runner elsewhere, or called at a server elsewhere."""

from __future__ import annotations

import importlib.resources
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from grpc_tools import protoc

from support.xds import contents
from support.xds.target import Adapter

SERVICE = "adapter.Adapter"
_PROTO = Path(__file__).with_name("adapter.proto")


@cache
def _messages() -> dict[str, Any]:
    """The contract's messages by name, compiled from the proto beside this file."""
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    with tempfile.NamedTemporaryFile() as out:
        arguments = [f"-I{_PROTO.parent}", f"-I{well_known}", f"-o{out.name}"]
        assert 0 == protoc.main(["protoc", *arguments, _PROTO.name])
        (file,) = descriptor_pb2.FileDescriptorSet.FromString(Path(out.name).read_bytes()).file
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    messages = pool.FindFileByName(_PROTO.name).message_types_by_name
    return {name: message_factory.GetMessageClass(message) for name, message in messages.items()}


def handler(adapter: Adapter) -> grpc.GenericRpcHandler:
    """Serves *adapter* to a runner; what it raises ends the call with its words."""
    classes = _messages()

    async def set_state(request: Any) -> Any:
        resources = [contents.unpacked(packed) for packed in request.resources]
        await adapter.set_state(request.node, request.version, resources)
        return classes["Done"](success=True)

    async def clear_state(request: Any) -> Any:
        await adapter.clear_state(request.node)
        return classes["Cleared"](response=f"{request.node} is forgotten")

    def on_resource(
        act: Callable[[str, str, str, str], Awaitable[None]],
    ) -> Callable[[Any], Awaitable[Any]]:
        async def on_request(request: Any) -> Any:
            named = request.node, request.type_url, request.resource_name
            await act(*named, request.version)
            return classes["Done"](success=True)

        return on_request

    def method(act: Callable[[Any], Awaitable[Any]], request: str) -> Any:
        async def serve(data: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            try:
                return await act(data)
            except (KeyError, ValueError) as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"unknown: {error}")

        return grpc.unary_unary_rpc_method_handler(
            serve, classes[request].FromString, lambda answer: answer.SerializeToString()
        )

    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "SetState": method(set_state, "SetStateRequest"),
            "ClearState": method(clear_state, "ClearStateRequest"),
            "UpdateResource": method(on_resource(adapter.update_resource), "ResourceRequest"),
            "AddResource": method(on_resource(adapter.add_resource), "ResourceRequest"),
            "RemoveResource": method(on_resource(adapter.remove_resource), "ResourceRequest"),
        },
    )


class RemoteAdapter:
    """An adapter elsewhere."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def set_state(self, node: str, version: str, resources: Sequence[Message]) -> None:
        packed = []
        for resource in resources:
            packed.append(AnyMessage())
            packed[-1].Pack(resource)
        await self._call(
            "SetState", "SetStateRequest", node=node, version=version, resources=packed
        )

    async def clear_state(self, node: str) -> None:
        await self._call("ClearState", "ClearStateRequest", node=node)

    async def update_resource(self, node: str, type_url: str, name: str, version: str) -> None:
        await self._on_resource("UpdateResource", node, type_url, name, version)

    async def add_resource(self, node: str, type_url: str, name: str, version: str) -> None:
        await self._on_resource("AddResource", node, type_url, name, version)

    async def remove_resource(self, node: str, type_url: str, name: str, version: str) -> None:
        await self._on_resource("RemoveResource", node, type_url, name, version)

    async def _on_resource(
        self, method: str, node: str, type_url: str, name: str, version: str
    ) -> None:
        await self._call(
            method,
            "ResourceRequest",
            node=node,
            type_url=type_url,
            resource_name=name,
            version=version,
        )

    async def _call(self, method: str, request: str, **fields: Any) -> None:
        call: Any = self._channel.unary_unary(f"/{SERVICE}/{method}")
        await call(_messages()[request](**fields).SerializeToString(), timeout=30)
