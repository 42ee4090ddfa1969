"""What decisions come to: the decision log, findings about workloads, replays, differences."""

from audit.difference import as_yaml, unified
from audit.findings import Finding, aggregated, changes
from audit.records import DecisionLog, now
from audit.replay import replayed

__all__ = [
    "DecisionLog",
    "Finding",
    "aggregated",
    "as_yaml",
    "changes",
    "now",
    "replayed",
    "unified",
]
