"""The door for sidecars' reports: Envoy's access log service, own pod only, in bounded time.

Knows nothing of what the mesh holds, or who reads the reports: they go to `observe`. Begin with
`service`.
"""

from towpath.reports.service import REPORTS_SERVICE, ReportService

__all__ = ["REPORTS_SERVICE", "ReportService"]
