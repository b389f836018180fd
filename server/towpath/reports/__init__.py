"""The door for sidecars' reports: Envoy's access log service, own pod only, in bounded time."""

from towpath.reports.service import REPORTS_SERVICE, ReportService

__all__ = ["REPORTS_SERVICE", "ReportService"]
