"""What the process says of itself: metrics for Prometheus, and logs on standard error.

Below everything that runs, beside the engine, which knows neither. `Metrics` is handed to whoever counts.
"""

from telemetry.logs import configure_logging
from telemetry.metrics import CONTENT_TYPE, Metrics
from telemetry.refusals import Refusals

__all__ = [
    "CONTENT_TYPE",  # of Prometheus' text format, as bytes
    "Metrics",  # the counters and gauges of one webhook process
    "Refusals",  # counts what got no review, and logs some of it
    "configure_logging",  # sets up one line per record on standard error
]
