"""Manifests of one small mesh as texts, from which a test takes what it needs and changes it."""

from __future__ import annotations

NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {openservicemesh.io/monitored-by: osm}}
"""
CONFIG = """
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {name: osm-mesh-config, namespace: osm-system}
spec:
  traffic: {enablePermissiveTrafficPolicyMode: false}
  featureFlags: {enableEgressPolicy: true}
"""
EGRESS = """
apiVersion: policy.openservicemesh.io/v1alpha1
kind: Egress
metadata: {name: out, namespace: shop}
spec:
  sources: [{kind: ServiceAccount, name: cart, namespace: shop}]
  hosts: [example.com]
  ports: [{number: 443, protocol: https}]
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.0.0.1, selector: {app: web}, ports: [{name: http, port: 80}]}
"""
HEADLESS = SERVICE.replace("10.0.0.1", "None")
ACCOUNT = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: cart, namespace: shop}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web}}
spec: {containers: [{name: web}]}
status: {podIP: 10.1.0.1}
"""
SLICE = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.1.0.1]}]
ports: [{name: http, port: 80}]
"""
GROUP = """
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: routes, namespace: shop}
spec: {matches: [{name: all, pathRegex: ".*", methods: ["*"]}]}
"""
SETTING = """
apiVersion: policy.openservicemesh.io/v1alpha1
kind: UpstreamTrafficSetting
metadata: {name: limits, namespace: shop}
spec: {host: example.com, connectionSettings: {tcp: {maxConnections: 7}}}
"""
LIMITED = """
apiVersion: policy.openservicemesh.io/v1alpha1
kind: UpstreamTrafficSetting
metadata: {name: rate, namespace: shop}
spec:
  host: web.shop.svc.cluster.local
  rateLimit: {local: {http: {requests: 3, unit: minute}}}
"""
"""A limit of the requests to the Service."""
TARGET = """
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: in, namespace: shop}
spec:
  destination: {kind: ServiceAccount, name: web, namespace: shop}
  sources: [{kind: ServiceAccount, name: cart, namespace: shop}]
  rules: [{kind: HTTPRouteGroup, name: routes}]
"""
SPLIT = """
apiVersion: split.smi-spec.io/v1alpha2
kind: TrafficSplit
metadata: {name: half, namespace: shop}
spec: {service: web, backends: [{service: web, weight: 1}]}
"""
WEB = "{kind: Service, name: web, namespace: shop}"
RETRY = f"""
apiVersion: policy.openservicemesh.io/v1alpha1
kind: Retry
metadata: {{name: again, namespace: shop}}
spec:
  source: {{kind: ServiceAccount, name: cart, namespace: shop}}
  destinations: [{WEB}]
  retryPolicy: {{retryOn: 5xx, numRetries: 2}}
"""
RANGE = "{kind: IPRange, name: 192.0.2.0/24}"
INGRESS = f"""
apiVersion: policy.openservicemesh.io/v1alpha1
kind: IngressBackend
metadata: {{name: outside, namespace: shop}}
spec:
  backends: [{{name: web, port: {{number: 80, protocol: http}}}}]
  sources: [{RANGE}]
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web}]}
"""

BASE = (NAMESPACE, CONFIG)
"""A mesh with one namespace, policies on and permissive mode off, and nothing in it."""

RETRYING = (NAMESPACE, CONFIG.replace("Policy: true", "Policy: true, enableRetryPolicy: true"))
"""The same with Retries on."""

OPENED = (
    NAMESPACE,
    CONFIG.replace("Policy: true", "Policy: true, enableIngressBackendPolicy: true"),
)
"""The same with IngressBackends on."""


def with_matches(*kinds: tuple[str, str, str]) -> str:
    """The Egress with these matches, each as group, kind and name."""
    matches = ", ".join(f"{{apiGroup: {g}, kind: {k}, name: {n}}}" for g, k, n in kinds)
    return f"{EGRESS}  matches: [{matches}]\n"


ROUTES = ("specs.smi-spec.io/v1alpha4", "HTTPRouteGroup", "routes")
LIMITS = ("policy.openservicemesh.io/v1alpha1", "UpstreamTrafficSetting", "limits")
MORE = ("policy.openservicemesh.io/v1alpha1", "UpstreamTrafficSetting", "more")
