"""What a support bundle holds: a running server's own answers, without what is secret."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from datetime import datetime

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from towpath import __version__
from towpath.cli.server import TIMEOUT_S
from towpath.model.text import printable
from towpath.telemetry.redaction import redacted
from towpath_api.v1 import debug_pb2, debug_pb2_grpc, inspector_pb2, inspector_pb2_grpc

ABOUT = """\
A support bundle of Towpath, written by towpath support bundle {version} at {at}.

It holds what a server says of itself: its settings, metrics and last log lines; its tasks and
memory; sidecars, policies and problems; and what some sidecars should have now. There is no private
key, token or password in it: servers do not tell them, and what looks like one is replaced by
[redacted]. There are names and addresses of pods, hosts that policies name, and certificates.

Files that are missing, and why: {missing}
"""


class Bundle:
    """The files of one bundle, each redacted when it is added; *prefix* is their folder."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._files: dict[str, bytes] = {}
        self._missing: list[str] = []

    def folder(self, name: str) -> Bundle:
        """A part of it, in a folder that is named by what *name* says."""
        part = Bundle(f"{self._prefix}{_file_name(name)}/")
        part._files, part._missing = self._files, self._missing
        return part

    def add(self, name: str, make: Callable[[], str | Message]) -> None:
        """Add what *make* gives; where the server refuses, the file is missing, and the bundle
        says why.
        """
        try:
            content = make()
        except grpc.RpcError as error:
            reason = error.details() if isinstance(error, grpc.Call) else str(error)
            self._missing.append(f"{self._prefix}{name} ({printable(reason or '')})")
            return
        self._files[f"{self._prefix}{name}"] = redacted(
            content if isinstance(content, str) else json_of(content)
        ).encode()

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(self._missing)

    def archive(self, at: datetime) -> bytes:
        """All of it as a tar file with gzip, in a folder of its own."""
        about = ABOUT.format(
            version=__version__,
            at=f"{at:%Y-%m-%dT%H:%M:%SZ}",
            missing="; ".join(self._missing) or "none",
        )
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for name, data in {"about.txt": about.encode(), **self._files}.items():
                entry = tarfile.TarInfo(f"towpath-support/{name}")
                entry.size, entry.mtime, entry.mode = len(data), int(at.timestamp()), 0o600
                archive.addfile(entry, io.BytesIO(data))
        return buffer.getvalue()


def gather(channel: grpc.Channel, bundle: Bundle, *, profile_s: int, snapshots: int) -> None:
    """Ask the server of that channel everything; *snapshots* says of how many sidecars it is asked
    what they should have, first of those that reject something.
    """
    inspector = inspector_pb2_grpc.InspectorStub(channel)
    debug = debug_pb2_grpc.DebugStub(channel)
    _process(debug, bundle)
    bundle.add("tasks.txt", lambda: tasks_text(list_tasks(debug)))
    bundle.add("memory.json", lambda: get_memory(debug))
    if profile_s:
        bundle.add("profile.txt", lambda: profile_text(profile_cpu(debug, profile_s)))
    sidecars = inspector_pb2.ListSidecarsResponse()

    def list_sidecars() -> Message:
        request = inspector_pb2.ListSidecarsRequest()
        sidecars.CopyFrom(inspector.ListSidecars(request, timeout=TIMEOUT_S))
        return sidecars

    bundle.add("sidecars.json", list_sidecars)
    bundle.add(
        "problems.json",
        lambda: inspector.ListProblems(inspector_pb2.ListProblemsRequest(), timeout=TIMEOUT_S),
    )
    bundle.add(
        "policies.json",
        lambda: inspector.ListPolicies(inspector_pb2.ListPoliciesRequest(), timeout=TIMEOUT_S),
    )
    for request in _questions(sidecars, snapshots):
        kind = inspector_pb2.Sidecar.ClientKind.Name(request.client_kind).lower()
        bundle.add(
            f"snapshots/{kind}/{_file_name(request.node_id)}.json",
            lambda request=request: inspector.GetSnapshot(request, timeout=TIMEOUT_S),  # type: ignore[misc]
        )


def _process(debug: debug_pb2_grpc.DebugStub, bundle: Bundle) -> None:
    """One answer has the process, its metrics and its log."""
    process = debug_pb2.GetProcessResponse()

    def get_process() -> Message:
        process.CopyFrom(debug.GetProcess(debug_pb2.GetProcessRequest(), timeout=TIMEOUT_S))
        rest = debug_pb2.GetProcessResponse()
        rest.CopyFrom(process)
        rest.ClearField("metrics")
        rest.ClearField("log_lines")
        return rest

    bundle.add("process.json", get_process)
    if process.version:
        bundle.add("metrics.txt", lambda: process.metrics)
        bundle.add("log.txt", lambda: "".join(f"{line}\n" for line in process.log_lines))


def _questions(
    sidecars: inspector_pb2.ListSidecarsResponse, most: int
) -> Iterator[inspector_pb2.GetSnapshotRequest]:
    rejecting = sorted(
        sidecars.sidecars,
        key=lambda one: not any(delivery.HasField("rejected") for delivery in one.deliveries),
    )
    seen = dict.fromkeys((one.node_id, one.client_kind) for one in rejecting)
    for node_id, kind in list(seen)[:most]:
        yield inspector_pb2.GetSnapshotRequest(node_id=node_id, client_kind=kind)


def _file_name(node_id: str) -> str:
    """A node id is what a client says: it must not lead out of the folder."""
    return "".join(c if c.isalnum() or c in ".-" else "_" for c in node_id)[:200].lstrip(".")


def list_tasks(debug: debug_pb2_grpc.DebugStub) -> debug_pb2.ListTasksResponse:
    return debug.ListTasks(debug_pb2.ListTasksRequest(), timeout=TIMEOUT_S)


def get_memory(debug: debug_pb2_grpc.DebugStub) -> debug_pb2.GetMemoryResponse:
    return debug.GetMemory(debug_pb2.GetMemoryRequest(), timeout=TIMEOUT_S)


def profile_cpu(debug: debug_pb2_grpc.DebugStub, seconds: int) -> debug_pb2.ProfileCpuResponse:
    request = debug_pb2.ProfileCpuRequest(seconds=seconds)
    return debug.ProfileCpu(request, timeout=seconds + TIMEOUT_S)


def tasks_text(answer: debug_pb2.ListTasksResponse) -> str:
    """Each group with its places, the outermost first."""
    parts = []
    for group in answer.groups:
        parts.append(f"{group.count} {printable(group.function)}\n")
        parts += [f"    {printable(place)}\n" for place in group.stack]
    return "".join(parts)


def profile_text(answer: debug_pb2.ProfileCpuResponse) -> str:
    """Lines `STACK MICROSECONDS`, as tools for flame graphs read them."""
    return "".join(f"{printable(one.stack)} {one.microseconds}\n" for one in answer.stacks)


def json_of(message: Message) -> str:
    """The message as JSON for people; every field is there."""
    return json.dumps(MessageToDict(message, always_print_fields_with_no_presence=True), indent=2)
