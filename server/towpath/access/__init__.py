"""Who may call what: the callers' identities, and one gate before every method; the files of TLS
(`access.tls`, imported only where there are any).

Knows nothing of what the methods do. Begin with `gate`, then `caller`.
"""

from towpath.access.caller import Caller
from towpath.access.gate import Audience, Gate

__all__ = ["Audience", "Caller", "Gate"]
