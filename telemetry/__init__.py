"""What the process says of itself: metrics for Prometheus, logs on standard error, and decisions for OpenTelemetry.

Below everything that runs, beside the engine, which knows neither. `Metrics` is handed to whoever counts.
"""

from telemetry.logs import configure_logging
from telemetry.metrics import CONTENT_TYPE, Metrics
from telemetry.otlp import Collector, LogExport
from telemetry.refusals import Refusals

__all__ = [
    "CONTENT_TYPE",  # of Prometheus' text format, as bytes
    "Collector",  # where log records of OpenTelemetry go; raises ValueError
    "LogExport",  # lines of the decision log on their way there, from a thread of its own
    "Metrics",  # the counters and gauges of one webhook process
    "Refusals",  # counts what got no review, and logs some of it
    "configure_logging",  # sets up one line per record on standard error
]
