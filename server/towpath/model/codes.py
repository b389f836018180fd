"""Codes of Problems: each sort of fault once, with its reason, its severity and what to do.

docs/problems.md is made of this table by `make tables`.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why something was left out; bounded, so that it can label a metric."""

    UNREADABLE = "Unreadable"
    INVALID = "Invalid"
    UNKNOWN_FIELD = "UnknownField"
    DUPLICATE = "Duplicate"
    CONFLICT = "Conflict"
    MISSING = "Missing"
    NOT_SUPPORTED = "NotSupported"
    NOT_ENABLED = "NotEnabled"
    NOT_IN_MESH = "NotInMesh"
    FORBIDDEN = "Forbidden"
    NOT_ENFORCEABLE = "NotEnforceable"
    TOO_LARGE = "TooLarge"
    REJECTED = "Rejected"
    ASSUMED = "Assumed"


class Severity(StrEnum):
    """How much a Problem matters, the gravest first."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the gravest."""
        return tuple(Severity).index(self)


_ERROR, _WARNING, _INFO = Severity


class Code(StrEnum):
    """One sort of fault. Its name is stable: pipelines and pages refer to it."""

    reason: Reason
    severity: Severity
    meaning: str
    remedy: str

    def __new__(
        cls, name: str, reason: Reason, severity: Severity, meaning: str, remedy: str
    ) -> Code:
        code = str.__new__(cls, name)
        code._value_ = name
        code.reason, code.severity = reason, severity
        code.meaning, code.remedy = meaning, remedy
        return code

    # What could not be read.

    UNREADABLE_FILE = (
        "unreadable-file",
        Reason.UNREADABLE,
        _ERROR,
        "A file cannot be opened or does not parse. A server keeps what the file said before.",
        "Mend the file at the line that the message names, or make it readable.",
    )
    UNDECODED_OBJECT = (
        "undecoded-object",
        Reason.UNREADABLE,
        _ERROR,
        (
            "Towpath failed at an object, by a fault of its own. The object allows nothing, and "
            "what it said before holds no more. All other objects are used."
        ),
        "Report the fault with the traceback in the log; write the object otherwise meanwhile.",
    )
    EMPTY_FOLDER = (
        "empty-folder",
        Reason.MISSING,
        _ERROR,
        "The folder holds no Kubernetes object that Towpath uses.",
        "Give the folder that holds the manifests.",
    )
    MISSING_FOLDER = (
        "missing-folder",
        Reason.UNREADABLE,
        _ERROR,
        "The folder that a server reads is gone. What it held is served, stale.",
        "Put the folder back.",
    )
    DUPLICATE_OBJECT = (
        "duplicate-object",
        Reason.DUPLICATE,
        _ERROR,
        "Two documents define one object. The first by file and line is used.",
        "Remove one of them.",
    )
    MISSING_DEFINITION = (
        "missing-definition",
        Reason.MISSING,
        _WARNING,
        (
            "The cluster does not know a kind, so it has no object of it; or the kind was "
            "removed, and the objects last seen are served."
        ),
        "Install the definitions: `towpath install`, or `kubectl apply -k deploy/crds`.",
    )
    FORBIDDEN_KIND = (
        "forbidden-kind",
        Reason.FORBIDDEN,
        _ERROR,
        "The API server does not let Towpath read a kind.",
        "Grant what the message names by RBAC.",
    )
    STALE_CLUSTER = (
        "stale-cluster",
        Reason.UNREADABLE,
        _ERROR,
        "The API server does not answer, and what is served is from a checkpoint.",
        "Mend the connection to the API server: docs/outages.md.",
    )
    UNREADABLE_KEYS = (
        "unreadable-keys",
        Reason.UNREADABLE,
        _ERROR,
        (
            "The keys that pods' tokens are signed with cannot be read. Tokens are judged by "
            "those that were read last."
        ),
        "Mend the connection to the API server.",
    )
    FORBIDDEN_KEYS = (
        "forbidden-keys",
        Reason.FORBIDDEN,
        _ERROR,
        "The API server does not let Towpath read the keys that pods' tokens are signed with.",
        "Grant what the message names by RBAC.",
    )
    UNUSABLE_AUTHORITY = (
        "unusable-authority",
        Reason.INVALID,
        _ERROR,
        (
            "The certificate authority of the mesh cannot be used. The last good one stays in "
            "use; without any, nothing is sent."
        ),
        "Mend the Secret `towpath-ca`: docs/operate.md says what it holds.",
    )

    EXPIRING_AUTHORITY = (
        "expiring-authority",
        Reason.INVALID,
        _WARNING,
        (
            "A certificate of the mesh's authority expires soon, and with it every certificate of "
            "the authority."
        ),
        "Exchange the authority before: docs/operate.md says how.",
    )

    # What one object says.

    INVALID_VALUE = (
        "invalid-value",
        Reason.INVALID,
        _ERROR,
        (
            "A field has a value that is not allowed. The message says what is, and what happens "
            "instead."
        ),
        "Write one of the values that are allowed.",
    )
    UNKNOWN_FIELD = (
        "unknown-field",
        Reason.UNKNOWN_FIELD,
        _ERROR,
        "A field is not known. What it may have been meant to restrict is closed.",
        "Write the name that the message suggests, or remove the field.",
    )
    UNKNOWN_KIND = (
        "unknown-kind",
        Reason.INVALID,
        _ERROR,
        "The kind of an object is not known, and all but equal to one that is.",
        "Write the kind that the message suggests.",
    )
    FOREIGN_DOCUMENT = (
        "foreign-document",
        Reason.INVALID,
        _INFO,
        "A document is not a Kubernetes object, such as the values of a chart. It is not used.",
        "Nothing; or keep such files out of the folder.",
    )
    MANY_PROBLEMS = (
        "many-problems",
        Reason.INVALID,
        _ERROR,
        "One object has more Problems than are listed.",
        "Mend those that are listed, and look again.",
    )
    UNSUPPORTED_KIND = (
        "unsupported-kind",
        Reason.NOT_SUPPORTED,
        _ERROR,
        (
            "Another mesh of this family has this kind, and Towpath has not. The object has no "
            "effect, also where it would have refused something."
        ),
        "Remove the object, or say the same by a kind that is supported.",
    )
    UNSUPPORTED_FIELD = (
        "unsupported-field",
        Reason.NOT_SUPPORTED,
        _WARNING,
        "A field asks for something that Towpath does not do. All else in the object is used.",
        "Remove the field, or set it to the value that it has by itself: docs/meshconfig.md.",
    )
    UNSUPPORTED_IMAGE = (
        "unsupported-image",
        Reason.NOT_SUPPORTED,
        _WARNING,
        "The image is of a sidecar that is not injected. The default image is used.",
        "Name an image of Envoy that is new enough, or none.",
    )
    UNSUPPORTED_ADDRESS = (
        "unsupported-address",
        Reason.NOT_SUPPORTED,
        _WARNING,
        "A Service or an EndpointSlice has no IPv4 address, so that no sidecar reaches it.",
        "Give the Service the family IPv4 too.",
    )
    UNSUPPORTED_LABEL = (
        "unsupported-label",
        Reason.NOT_SUPPORTED,
        _WARNING,
        "A Namespace has the label by which another mesh of this family finds its namespaces.",
        "Set the label `openservicemesh.io/monitored-by` to the mesh's name.",
    )
    UNSUPPORTED_SOURCE = (
        "unsupported-source",
        Reason.NOT_SUPPORTED,
        _ERROR,
        "A source of an Egress asks for TLS origination, which is not supported. It gains nothing.",
        "Remove `mtls` from the source.",
    )
    CORRECTED_VALUE = (
        "corrected-value",
        Reason.INVALID,
        _WARNING,
        (
            "A value is allowed, and most likely not what was meant. The message says what it is "
            "taken for."
        ),
        "Write what is meant.",
    )
    UNUSABLE_LIST = (
        "unusable-list",
        Reason.INVALID,
        _ERROR,
        "A list has an entry that is not allowed or that does not do, and none of it is used.",
        "Mend the entries.",
    )
    NOTHING_LEFT = (
        "nothing-left",
        Reason.INVALID,
        _ERROR,
        "A part of a policy holds nothing that is valid, so it allows nothing.",
        "Mend what the other Problems of the object name, or write what is missing.",
    )
    SEVERAL_SETTINGS = (
        "several-settings",
        Reason.INVALID,
        _ERROR,
        "An Egress names more than one UpstreamTrafficSetting. It is not used.",
        "Name one.",
    )
    HTTP_WITHOUT_HOSTS = (
        "http-without-hosts",
        Reason.INVALID,
        _ERROR,
        "An Egress has a port for http, and no host. The port is left out.",
        "Name the hosts, or use the protocol tcp.",
    )
    HOSTS_WITHOUT_EFFECT = (
        "hosts-without-effect",
        Reason.NOT_SUPPORTED,
        _WARNING,
        (
            "An Egress names hosts where no connection says which host is meant: the port is open "
            "to every address, or to no host by its address."
        ),
        "Name the addresses in `spec.ipAddresses`, or use https.",
    )
    MATCHES_WITHOUT_EFFECT = (
        "matches-without-effect",
        Reason.NOT_SUPPORTED,
        _WARNING,
        "An Egress names requests on a port where no request is seen. They are not matched there.",
        "Use a policy of its own for that port.",
    )
    MANY_BACKENDS = (
        "many-backends",
        Reason.TOO_LARGE,
        _ERROR,
        "A TrafficSplit has more backends than are allowed.",
        "Divide among fewer Services.",
    )
    DUPLICATE_BACKEND = (
        "duplicate-backend",
        Reason.DUPLICATE,
        _ERROR,
        "A TrafficSplit names a backend twice. The first weight holds.",
        "Name each backend once.",
    )
    MANY_LIMITS = (
        "many-limits",
        Reason.TOO_LARGE,
        _ERROR,
        (
            "An UpstreamTrafficSetting has more `httpRoutes` than are allowed, or longer "
            "`responseHeadersToAdd`. It closes its Service."
        ),
        "Limit fewer paths, or several by one expression, and add fewer headers.",
    )
    DUPLICATE_LIMIT = (
        "duplicate-limit",
        Reason.DUPLICATE,
        _WARNING,
        "An UpstreamTrafficSetting limits a path twice. The first limit holds.",
        "Write each path once.",
    )
    MANY_DESTINATIONS = (
        "many-destinations",
        Reason.TOO_LARGE,
        _ERROR,
        "A Retry has more destinations than are allowed. Nothing is sent again.",
        "Divide it into several.",
    )
    LARGE_INGRESS = (
        "large-ingress",
        Reason.TOO_LARGE,
        _ERROR,
        (
            "An IngressBackend has more backends or sources than are allowed, or those for one pod "
            "need more entries than a sidecar is sent. It lets nothing in."
        ),
        "Divide it into several, or name ranges of addresses.",
    )
    LARGE_TARGET = (
        "large-target",
        Reason.TOO_LARGE,
        _ERROR,
        (
            "The TrafficTargets for one pod need more entries than a sidecar is sent. Those for "
            "which there is no room let nobody in."
        ),
        "Name fewer sources, ports and requests, or let callers share a service account.",
    )
    LARGE_LIMITS = (
        "large-limits",
        Reason.TOO_LARGE,
        _ERROR,
        (
            "The rate limits for one pod need more entries than a sidecar is sent. Those for which "
            "there is no room close the ports that they would limit."
        ),
        "Limit fewer paths, several by one expression, or a Service with fewer ports.",
    )
    LARGE_SPLIT = (
        "large-split",
        Reason.TOO_LARGE,
        _ERROR,
        (
            "The TrafficSplits of a namespace come to more shares than sidecars are sent. Those "
            "for which there is no room divide nothing."
        ),
        "Divide among fewer Services, for fewer requests, or roots with fewer ports.",
    )
    UNSUPPORTED_RESTRICTION = (
        "unsupported-restriction",
        Reason.NOT_SUPPORTED,
        _ERROR,
        (
            "An IngressBackend names requests (`matches`), asks for TLS without a certificate, or "
            "names hosts of TLS where there is none. What it would have let in stays closed."
        ),
        "Remove the field: all requests are let in from the sources, and TLS needs a certificate.",
    )
    MISSING_CLUSTER_IP = (
        "missing-cluster-ip",
        Reason.MISSING,
        _ERROR,
        "A Service has no address of its own, so that no sidecar reaches it by one.",
        "In a cluster each Service gets one. In a folder that a server reads, write it.",
    )

    # What objects say together.

    MISSING_MESH_CONFIG = (
        "missing-mesh-config",
        Reason.MISSING,
        _ERROR,
        "There is no MeshConfig. Every switch is off, in-mesh traffic included.",
        "Create `osm-mesh-config` in the control plane's namespace.",
    )
    MISPLACED_MESH_CONFIG = (
        "misplaced-mesh-config",
        Reason.INVALID,
        _WARNING,
        "A MeshConfig is in another namespace than the control plane's, and not used.",
        "Move it, or say where the control plane is by `--osm-namespace`.",
    )
    EXTERNAL_AUTHORIZATION = (
        "external-authorization",
        Reason.NOT_SUPPORTED,
        _ERROR,
        (
            "The MeshConfig asks for external authorization, which is not supported: sidecars let "
            "nothing in but the kubelet's probes."
        ),
        "Set `spec.traffic.inboundExternalAuthorization.enable` to false.",
    )
    EGRESS_OFF = (
        "egress-off",
        Reason.NOT_ENABLED,
        _INFO,
        "The MeshConfig switches policies off, so that an Egress has no effect.",
        "Set `spec.featureFlags.enableEgressPolicy` to true when policies should have effect.",
    )
    PERMISSIVE_MODE = (
        "permissive-mode",
        Reason.NOT_ENABLED,
        _INFO,
        "Permissive mode is on, so that a TrafficTarget restricts nothing.",
        "Set `spec.traffic.enablePermissiveTrafficPolicyMode` to false to let them decide.",
    )
    POLICY_OUTSIDE_MESH = (
        "policy-outside-mesh",
        Reason.NOT_IN_MESH,
        _WARNING,
        "A policy is in a namespace that is not monitored. It has no effect.",
        "Give the Namespace the label that the message names.",
    )
    SOURCE_OUTSIDE_MESH = (
        "source-outside-mesh",
        Reason.NOT_IN_MESH,
        _WARNING,
        "A source of a policy is in a namespace that is not monitored. It gains nothing.",
        "Give that Namespace the label that the message names, or remove the source.",
    )
    FOREIGN_SOURCE = (
        "foreign-source",
        Reason.FORBIDDEN,
        _ERROR,
        "An Egress selects a service account of another namespace. The server does not allow it.",
        "Move the policy to that namespace, or serve with `--cross-namespace-egress allow`.",
    )
    MISSING_ACCOUNT = (
        "missing-account",
        Reason.MISSING,
        _WARNING,
        "A source of an Egress names a service account that does not exist.",
        "Write the name that the message suggests, or create the ServiceAccount.",
    )
    MISSING_SETTING = (
        "missing-setting",
        Reason.MISSING,
        _ERROR,
        "An Egress names an UpstreamTrafficSetting that does not exist. It allows nothing.",
        "Create the setting in the namespace of the policy, or remove the reference.",
    )
    UNREADABLE_SETTING = (
        "unreadable-setting",
        Reason.INVALID,
        _ERROR,
        (
            "An UpstreamTrafficSetting has a limit that cannot be read. Nobody may call its "
            "Service, and an Egress that names it allows nothing."
        ),
        "Mend the setting.",
    )
    MISSING_ROUTE = (
        "missing-route",
        Reason.MISSING,
        _ERROR,
        (
            "A policy names an HTTPRouteGroup or a TCPRoute that does not exist. Nothing of it is "
            "allowed."
        ),
        "Create it in the namespace of the policy, or remove the reference.",
    )
    MISSING_MATCH = (
        "missing-match",
        Reason.MISSING,
        _ERROR,
        "A TrafficTarget names a match that its HTTPRouteGroup does not have.",
        "Write the name of one that it has.",
    )
    MISSING_SERVICE = (
        "missing-service",
        Reason.MISSING,
        _ERROR,
        "A TrafficSplit names a Service, or a port of one, that does not exist. It is left out.",
        "Create the Service with the ports of the root, or remove the reference.",
    )
    SPLIT_WITHOUT_ADDRESS = (
        "split-without-address",
        Reason.NOT_ENFORCEABLE,
        _ERROR,
        (
            "A TrafficSplit is about a Service without an address of its own, so that nothing is "
            "divided."
        ),
        "Use a Service that is not headless.",
    )
    TARGET_WITHOUT_PORTS = (
        "target-without-ports",
        Reason.NOT_ENFORCEABLE,
        _WARNING,
        (
            "A TrafficTarget grants nothing on any port of its destination: an HTTPRouteGroup "
            "opens no port where requests are not seen, and a TCPRoute alone none where they are."
        ),
        "Add a TCPRoute for ports that do not speak HTTP, or an HTTPRouteGroup for those that do.",
    )
    SPLIT_WITHOUT_REQUESTS = (
        "split-without-requests",
        Reason.NOT_ENFORCEABLE,
        _WARNING,
        (
            "A TrafficSplit with `matches` is about a port where no request is seen. There it "
            "divides nothing."
        ),
        "Say by the port's name or `appProtocol` that it speaks HTTP, or leave `matches` out.",
    )
    SPLIT_WITHOUT_BACKEND = (
        "split-without-backend",
        Reason.INVALID,
        _ERROR,
        "No backend of a TrafficSplit is left on a port of its root. Nothing is served there.",
        "Give one backend that has the port a weight above 0.",
    )
    CONFLICTING_SPLIT = (
        "conflicting-split",
        Reason.CONFLICT,
        _ERROR,
        "Two TrafficSplits divide one Service. The older holds.",
        "Remove one of them.",
    )
    CONFLICTING_SETTING = (
        "conflicting-setting",
        Reason.CONFLICT,
        _WARNING,
        "Two UpstreamTrafficSettings are about one destination. The older holds.",
        "Use one setting for the destination.",
    )
    CONFLICTING_LIMITS = (
        "conflicting-limits",
        Reason.CONFLICT,
        _WARNING,
        (
            "Two Services lead to one port of their pods, and settings of both limit what comes "
            "in. Those of the first Service by name hold."
        ),
        "Let one setting say the limits of both.",
    )
    LIMITS_WITHOUT_SERVICE = (
        "limits-without-service",
        Reason.NOT_SUPPORTED,
        _WARNING,
        (
            "The host of an UpstreamTrafficSetting is not a Service of its namespace in the mesh. "
            "Its rate limits hold nowhere, nor do its other limits unless an Egress refers to it."
        ),
        "Write the Service that the message suggests; of a host outside, remove the rate limits.",
    )
    LIMITS_WITHOUT_REQUESTS = (
        "limits-without-requests",
        Reason.NOT_ENFORCEABLE,
        _WARNING,
        "Requests of a Service are limited, and none of its ports speaks HTTP.",
        "Say by the port's name or `appProtocol` that it speaks HTTP, or limit connections.",
    )
    RETRY_OFF = (
        "retry-off",
        Reason.NOT_ENABLED,
        _INFO,
        "The MeshConfig switches Retries off, so that nothing is sent again.",
        "Set `spec.featureFlags.enableRetryPolicy` to true when they should have effect.",
    )
    MISSING_DESTINATION = (
        "missing-destination",
        Reason.MISSING,
        _ERROR,
        "A Retry names a Service that does not exist in the mesh. It is left out.",
        "Create the Service, or remove the destination.",
    )
    RETRY_WITHOUT_REQUESTS = (
        "retry-without-requests",
        Reason.NOT_ENFORCEABLE,
        _WARNING,
        "A Retry names a Service of which no port speaks HTTP. Nothing is sent again.",
        "Say by the port's name or `appProtocol` that it speaks HTTP, or remove the destination.",
    )
    CONFLICTING_RETRY = (
        "conflicting-retry",
        Reason.CONFLICT,
        _WARNING,
        "Two Retries are about one service account and one Service. The older holds.",
        "Remove one of them.",
    )
    INGRESS_OFF = (
        "ingress-off",
        Reason.NOT_ENABLED,
        _INFO,
        "The MeshConfig switches IngressBackends off, so that nothing is let in by them.",
        "Set `spec.featureFlags.enableIngressBackendPolicy` to true when they should have effect.",
    )
    MISSING_BACKEND = (
        "missing-backend",
        Reason.MISSING,
        _ERROR,
        "An IngressBackend names a Service, or a port of its pods, that does not exist.",
        "Write the name of the Service, and the target port of one of its ports.",
    )
    MISSING_SOURCE = (
        "missing-source",
        Reason.MISSING,
        _ERROR,
        "A source of an IngressBackend stands for nobody, so that it lets nobody in.",
        "Name a Service with endpoints, or for pods in the network of their node an IPRange.",
    )
    INGRESS_WITHOUT_REQUESTS = (
        "ingress-without-requests",
        Reason.NOT_ENFORCEABLE,
        _ERROR,
        "An IngressBackend names a port that does not speak HTTP. Nothing is let in there.",
        "Say by the port's name or `appProtocol` that it speaks HTTP.",
    )
    INGRESS_WITHOUT_PRINCIPAL = (
        "ingress-without-principal",
        Reason.NOT_ENFORCEABLE,
        _ERROR,
        (
            "An IngressBackend with https names no AuthenticatedPrincipal, or one with http does. "
            "Nobody is let in."
        ),
        "Name principals for https, and addresses alone for http.",
    )
    SERVER_FIRST = (
        "server-first",
        Reason.CONFLICT,
        _WARNING,
        (
            "On one port some servers speak first, and other policies need the client's first "
            "bytes: such servers wait for the client."
        ),
        "Use another port for one of them.",
    )
    UNUSED_OBJECT = (
        "unused-object",
        Reason.NOT_SUPPORTED,
        _INFO,
        "No policy refers to an HTTPRouteGroup, a TCPRoute or an UpstreamTrafficSetting.",
        "Remove it, or refer to it.",
    )
    LARGE_EGRESS = (
        "large-egress",
        Reason.TOO_LARGE,
        _ERROR,
        (
            "The policies of one service account need more entries than a sidecar is sent. Those "
            "for which there is no room are closed."
        ),
        "Name fewer hosts, ports and address ranges, or use patterns of hosts.",
    )
    SIDECAR_PORT = (
        "sidecar-port",
        Reason.INVALID,
        _ERROR,
        "A Service leads to a port that is one of the sidecar's own. It is not opened.",
        "Let the application listen on another port.",
    )
    SERVICE_WITHOUT_ENDPOINTS = (
        "service-without-endpoints",
        Reason.MISSING,
        _WARNING,
        "A Service has no selector, and no EndpointSlice names it. Nothing can answer for it.",
        "Write a selector, or an EndpointSlice.",
    )
    SLICE_WITHOUT_SERVICE = (
        "slice-without-service",
        Reason.MISSING,
        _WARNING,
        "An EndpointSlice names a Service that does not exist. Its endpoints are not used.",
        "Mend its label `kubernetes.io/service-name`.",
    )
    FOREIGN_ENDPOINT = (
        "foreign-endpoint",
        Reason.FORBIDDEN,
        _WARNING,
        "An EndpointSlice names an address that no pod of its namespace has. It is not used.",
        "Remove the address; for a Service without a selector, serve with `--outside-endpoints`.",
    )
    CONTESTED_ADDRESS = (
        "contested-address",
        Reason.CONFLICT,
        _ERROR,
        "Two Services claim one address. Nobody reaches it.",
        "Give each Service an address of its own.",
    )
    CONFLICTING_PROTOCOL = (
        "conflicting-protocol",
        Reason.CONFLICT,
        _ERROR,
        "Two Services lead to one port of a pod and say that it speaks different protocols.",
        "Give both ports the same `appProtocol`, or the same beginning of their names.",
    )
    HIDDEN_PROBE = (
        "hidden-probe",
        Reason.NOT_ENFORCEABLE,
        _ERROR,
        "A probe by HTTPS cannot be told from other traffic, and is not let in.",
        "Probe by plain HTTP, or by a command.",
    )
    PARTLY_MARKED = (
        "partly-marked",
        Reason.NOT_ENFORCEABLE,
        _WARNING,
        (
            "Some pods of a headless Service take mutual TLS and others do not: all are called in "
            "plaintext."
        ),
        'Give all of its pods the label `openservicemesh.io/mtls: "1"`.',
    )
    STRICT_IN_PLAINTEXT = (
        "strict-in-plaintext",
        Reason.NOT_ENFORCEABLE,
        _ERROR,
        "Mutual TLS is strict in a namespace, and plaintext is let in all the same.",
        "Mark the pods that the message names, or give the mesh its certificate authority.",
    )
    PIPY_CANNOT = (
        "pipy-cannot",
        Reason.NOT_ENFORCEABLE,
        _WARNING,
        "Pipy sidecars cannot enforce a part of a policy. What it allows is refused there.",
        "Use Envoy sidecars for these accounts, or a policy without that part: docs/pipy.md.",
    )
    PIPY_IGNORES = (
        "pipy-ignores",
        Reason.NOT_ENFORCEABLE,
        _WARNING,
        "Pipy sidecars enforce no rate limits, and send nothing again.",
        "Use Envoy sidecars for these pods: docs/pipy.md.",
    )
    REJECTED_BY_SIDECAR = (
        "rejected-by-sidecar",
        Reason.REJECTED,
        _ERROR,
        (
            "Sidecars reject what was made from an object. They keep what they had of it, as far "
            "as that is still allowed."
        ),
        "Read the sidecar's error message, and change the object.",
    )

    # What a repository cannot hold, and `towpath problems` fills in.

    ASSUMED_MESH_CONFIG = (
        "assumed-mesh-config",
        Reason.ASSUMED,
        _INFO,
        (
            "The manifests have no MeshConfig. They are judged with the one that the first start "
            "of a server makes, and with policies on."
        ),
        "Nothing; or add the MeshConfig, so that its switches count.",
    )
    ASSUMED_NAMESPACE = (
        "assumed-namespace",
        Reason.ASSUMED,
        _INFO,
        "The manifests do not have the Namespace of their objects. It is taken for monitored.",
        "Nothing; or add the Namespace with its labels.",
    )
    ASSUMED_CLUSTER_IP = (
        "assumed-cluster-ip",
        Reason.ASSUMED,
        _INFO,
        "Services have no address, which the cluster gives them. Addresses are made up for them.",
        "Nothing.",
    )
    ASSUMED_PODS = (
        "assumed-pods",
        Reason.ASSUMED,
        _INFO,
        (
            "The cluster makes the pods of workloads, and those of callers may be elsewhere. One "
            "is made up for each workload, and for each service account that a TrafficTarget "
            "lets in."
        ),
        "Nothing.",
    )
    ASSUMED_ENDPOINTS = (
        "assumed-endpoints",
        Reason.ASSUMED,
        _INFO,
        (
            "The cluster makes the endpoints of Services. The pods that a Service selects are "
            "taken for ready ones, and addresses of pods that are not here for good."
        ),
        "Nothing.",
    )
