"""What the process tells of itself: metrics and logs."""

from telemetry.logs import configure_logging
from telemetry.metrics import CONTENT_TYPE, Metrics

__all__ = [
    "CONTENT_TYPE",
    "Metrics",
    "configure_logging",
]
