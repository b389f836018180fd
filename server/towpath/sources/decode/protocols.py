"""What a Service's port speaks: by its `appProtocol`, then by its name, as Kubernetes users write.

A hint that is not understood stands for plain TCP, which carries everything; without any hint a
port speaks HTTP, as in Open Service Mesh.
"""

from __future__ import annotations

import difflib

from towpath.model.names import Protocol

_HTTP = ("http", "http2", "h2c", "grpc", "grpc-web")
_TLS = ("https", "tls")
# In these the server speaks first: a greeting, or a challenge.
_SERVER_FIRST = (
    "tcp-server-first",
    "ftp",
    "imap",
    "lmtp",
    "mariadb",
    "mysql",
    "mysqlx",
    "nats",
    "nntp",
    "pop3",
    "rfb",
    "rsync",
    "sftp",
    "sieve",
    "smtp",
    "ssh",
    "submission",
    "svn",
    "vnc",
)
_CLIENT_FIRST = (
    "tcp",
    "amqp",
    "cassandra",
    "kafka",
    "ldap",
    "memcached",
    "mongo",
    "mongodb",
    "mqtt",
    "postgres",
    "postgresql",
    "redis",
    "zookeeper",
)

BY_NAME: dict[str, Protocol] = {
    **dict.fromkeys(_HTTP, Protocol.HTTP),
    **dict.fromkeys(_TLS, Protocol.HTTPS),
    **dict.fromkeys(_SERVER_FIRST, Protocol.TCP_SERVER_FIRST),
    **dict.fromkeys(_CLIENT_FIRST, Protocol.TCP),
}
OF_KUBERNETES = {
    "kubernetes.io/h2c": Protocol.HTTP,
    "kubernetes.io/ws": Protocol.HTTP,
    "kubernetes.io/wss": Protocol.HTTPS,
}
_BY_APP_PROTOCOL = {**BY_NAME, **OF_KUBERNETES}

_ALIKE = 0.75
"""How much alike two names are, as difflib counts, when one may be the other misspelt."""


def app_protocol(hint: str) -> Protocol:
    """The protocol of an `appProtocol`, in any letter case; TCP if it is not known."""
    return _BY_APP_PROTOCOL.get(hint.lower(), Protocol.TCP)


def port_name(name: str) -> Protocol:
    """The protocol of a port's name: of the longest prefix that is one, `mysql` or `mysql-main`."""
    matching = [prefix for prefix in BY_NAME if name == prefix or name.startswith(f"{prefix}-")]
    return BY_NAME[max(matching, key=len)] if matching else Protocol.HTTP


def misspelt(hint: str) -> str | None:
    """The known `appProtocol` that an unknown one looks like; None if it looks like none.

    Any other name is right: it may be one of IANA's, or the user's own (`example.com/x`).
    """
    if hint.lower() in _BY_APP_PROTOCOL:
        return None
    near = difflib.get_close_matches(hint.lower(), _BY_APP_PROTOCOL, n=1, cutoff=_ALIKE)
    return near[0] if near else None
