"""May FROM reach TO? What `towpath explain` says, with the policy that would allow it."""

from __future__ import annotations

from towpath.cli.page.control_plane import ControlPlane, QuestionError
from towpath.cli.page.view import Query, View, silence_of
from towpath_api.v1 import inspector_pb2 as pb

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT")


async def explain(control_plane: ControlPlane, query: Query) -> View:
    """The question, and its answer if there is one."""
    source, target = query.get("from", "").strip(), query.get("to", "").strip()
    method, address = query.get("method", "GET"), query.get("address", "").strip()
    reach = await control_plane.reach(pb.ListReachRequest(limit=100))
    answer, differing, fault = None, "", ""
    if source and target:
        request = pb.ExplainRequest(
            service_account=source, to=target, method=method, address=address
        )
        try:
            reading = await control_plane.explanation(request)
        except QuestionError as error:
            fault = str(error)
        else:
            answer, fault = reading.one, reading.fault
            if len({one.allowed for one in reading.messages.values()}) > 1:
                differing = ", ".join(
                    f"{name}: {'allowed' if one.allowed else 'denied'}"
                    for name, one in reading.messages.items()
                )
    values = {
        "source": source,
        "to": target,
        "method": method,
        "methods": METHODS,
        "address": address,
        "accounts": [one.service_account for one in reach.one.reach] if reach.one else [],
        "answer": None if fault else answer,
        "differing": differing,
        "fault": fault,
    }
    return View("Explain", "explain.html", values, live=False, silence=silence_of(reach))
