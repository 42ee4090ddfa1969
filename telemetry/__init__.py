"""What the process says of itself: metrics for Prometheus, logs on standard error, and the log of its decisions.

Below everything that runs, beside the engine, which knows none of them. `Metrics` is handed to whoever counts,
`DecisionLog` to whoever decides; its lines are `bounded`.
"""

from telemetry.backlog import Backlog
from telemetry.lines import MAX_LINE, bounded
from telemetry.logs import configure_logging
from telemetry.metrics import CONTENT_TYPE, Metrics
from telemetry.otlp import Collector, LogExport, headers_of
from telemetry.records import DecisionLog, now
from telemetry.refusals import Refusals

__all__ = [
    "CONTENT_TYPE",  # of Prometheus' text format, as bytes
    "MAX_LINE",  # bytes of a line of the decision log
    "Backlog",  # what waits in memory for a thread, within limits; whoever hands it over does not wait
    "Collector",  # where log records of OpenTelemetry go; raises ValueError
    "DecisionLog",  # JSON lines on their way to a stream, from a thread of its own
    "LogExport",  # lines of the decision log on their way there, from a thread of its own
    "Metrics",  # the counters and gauges of one webhook process
    "Refusals",  # counts what got no review, and logs some of it
    "bounded",  # a line of the decision log as JSON within a size, with what is left out counted
    "configure_logging",  # sets up one line per record on standard error
    "headers_of",  # headers for a collector as OpenTelemetry's environment variables have them; raises ValueError
    "now",  # the time in RFC 3339, UTC, with microseconds
]
