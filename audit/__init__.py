"""What decisions come to: the decision log, findings about workloads, replays of running pods, and diffs.

Above the engine, for whoever looks at many decisions or at one in detail. `finding_of` makes of a decision a `Finding`,
which is what stores, reports and replays share; `replayed` gives running pods as they were created, to be decided
again; `moved` tells what changes for them from one revision to the next; `DecisionLog` writes a line for each decision,
`bounded` in size; `unified` shows what a decision changed. Start with `findings.py`, then `of_decision.py`.
"""

from audit.difference import as_yaml, unified
from audit.findings import Finding
from audit.lines import MAX_LINE, bounded
from audit.moves import MOVE_OUTCOMES, Move, moved
from audit.of_decision import finding_of
from audit.records import DecisionLog, now
from audit.replay import replayed
from audit.words import Tally, aggregated, changes

__all__ = [
    "MAX_LINE",  # bytes of a line of the log
    "MOVE_OUTCOMES",  # all that may become of a pod from one revision to the next
    "DecisionLog",  # JSON lines on their way to a stream, from a thread of its own
    "Finding",  # what a decision comes to for pods of one workload, as a value and as JSON
    "Move",  # what two revisions of a bundle make of pods of one owner, where that is not the same
    "Tally",  # what would happen to a number of pods of one owner, in a few words
    "aggregated",  # the Tallies of decisions, one for each owner and effect
    "as_yaml",  # plain data as YAML that people read
    "bounded",  # a line of the log as JSON within a size, with what is left out counted
    "changes",  # whether there is anything to say about a decision
    "finding_of",  # the Finding of a decision
    "moved",  # the Moves of pods that were decided by one revision and by the next
    "now",  # the time in RFC 3339, UTC, with microseconds
    "replayed",  # documents with running pods as they were created, finished ones left out
    "unified",  # the lines of a unified diff of two objects as YAML
]
