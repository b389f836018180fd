"""What the agent counts, in the text form that Prometheus reads."""

from __future__ import annotations

import json
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """Updates by what came of them, and the configuration in force.

    `reload_seconds` is a sum, over `reloads`; `accepted_at` is in seconds since the epoch.
    """

    updates: dict[str, int] = field(
        default_factory=lambda: {"accepted": 0, "refused": 0, "unchanged": 0}
    )
    reloads: int = 0
    reload_seconds: float = 0.0
    version: str = ""
    accepted_at: float = 0.0
    last_refusal: str = ""

    def exposition(self, *, running: bool) -> str:
        """Every metric, with its help."""
        updates = [f'{{outcome="{name}"}} {count}' for name, count in self.updates.items()]
        return "".join(
            (
                _metric("updates_total", "counter", "Configurations, by outcome.", *updates),
                _metric(
                    "reload_seconds",
                    "summary",
                    "Time from the signal to the outcome.",
                    f"_sum {self.reload_seconds:.6f}",
                    f"_count {self.reloads}",
                ),
                _metric(
                    "config_info",
                    "gauge",
                    "The version of the current configuration.",
                    f"{{version={json.dumps(self.version)}}} {int(bool(self.version))}",
                ),
                _metric(
                    "config_accepted_timestamp_seconds",
                    "gauge",
                    "When the current configuration was accepted.",
                    f" {self.accepted_at:.3f}",
                ),
                _metric(
                    "pipy_running", "gauge", "1 if a Pipy process is running.", f" {int(running)}"
                ),
            )
        )


def _metric(name: str, kind: str, text: str, *samples: str) -> str:
    full = f"towpath_agent_{name}"
    lines = [f"# HELP {full} {text}", f"# TYPE {full} {kind}"]
    lines += [
        f"{full}{sample}" if sample[0] in "{_" else f"{full} {sample.strip()}" for sample in samples
    ]
    return "\n".join(lines) + "\n"
