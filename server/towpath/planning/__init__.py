"""What one sidecar must do, as pure functions of a Mesh.

`plan_basis` says what the plan of one sidecar is made from, which many sidecars share;
`plan` makes the `Plan` of all that have a basis, of two parts:
`outbound` makes an `Outbound`, shared by a service account's sidecars; `closed_outbound` what it
would be with egress passthrough off;
`inbound` makes an `Inbound`, shared by the pods that the same services select;
`proxyless` makes the `ProxylessPlan` of a service account's gRPC clients, which have no sidecar;
`endpoints` says where each destination leads; `problems` collects what could not be planned.

Knows nothing of Kubernetes, Envoy or I/O. Begin with `outbound`, then `egress`.
"""

from towpath.planning.destinations import endpoints
from towpath.planning.inbound import inbound
from towpath.planning.outbound import closed_outbound, outbound
from towpath.planning.problems import policy_problems, problems
from towpath.planning.proxyless import proxyless
from towpath.planning.sidecar import plan, plan_basis

__all__ = [
    "closed_outbound",
    "endpoints",
    "inbound",
    "outbound",
    "plan",
    "plan_basis",
    "policy_problems",
    "problems",
    "proxyless",
]
