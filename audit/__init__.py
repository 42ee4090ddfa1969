"""What decisions come to: findings about workloads, replays of running pods, what is kept of them, and diffs.

Above the engine, for whoever looks at many decisions or at one in detail. What a decision comes to is a `Finding`,
which is what stores, reports and replays share; a `Replay` decides all pods and workloads that exist as if they were
created now, and a `Summary` says what its findings come to together; `moved` tells what changes for them from one
revision to the next; a `Recorder` keeps decisions and `StoredDecisions` reads them; `unified` shows what a decision
changed. Start with `findings.py`, then `of_decision.py` and `replay.py`.
"""

from audit.admissions import Admissions
from audit.capacity import Amounts, Load, loads_of
from audit.database import Retention, UnusableError
from audit.difference import as_yaml, unified
from audit.drift import descheduler, drift_of, script
from audit.files import Files, taken_for_manifests
from audit.findings import Finding, Workload
from audit.moves import MOVE_OUTCOMES, Move, Moves, moved
from audit.nodes import places_of
from audit.openreports import outdated, own_labels, reports_of, workload_in
from audit.original import as_asked_for
from audit.pages import as_html
from audit.parallel import LostError, gather, rows
from audit.passes import by_admission
from audit.recorder import Recorder
from audit.replay import Replay, as_created, in_order, replayed
from audit.selection import Selection, selector_of
from audit.stored import StoredDecision, StoredDecisions
from audit.summary import BLOCKING, FAILING, GROUPINGS, OF_CLUSTER, Line, OfCluster, Summary
from audit.words import shortened, what_happens, why, worth_telling

__all__ = [
    "BLOCKING",  # outcomes that keep a bundle from being enforced
    "FAILING",  # outcomes and consequences that a pipeline may be held for
    "GROUPINGS",  # what findings may be grouped by: owner, namespace, policy or pool
    "MOVE_OUTCOMES",  # all that may become of a pod from one revision to the next
    "OF_CLUSTER",  # the kind of what is said of a cluster beside its findings
    "Admissions",  # Findings about decisions out of the store, as these are added
    "Amounts",  # pods, and what they ask for or a pool has
    "Files",  # where a Recorder keeps decisions as JSON Lines
    "Finding",  # what a decision comes to for pods of one workload, as a value and as JSON
    "Line",  # findings of one group that come to the same, for tables
    "Load",  # what is asked of a pool before and after, and what it has
    "LostError",  # a process of a replay ended
    "Move",  # what two revisions of a bundle make of pods of one owner, where that is not the same
    "Moves",  # the same as they are added up, pod by pod
    "OfCluster",  # what a cluster's pools are asked for, and what drifted there; as data, beside findings
    "Recorder",  # decisions on their way into the store, from a thread of its own
    "Replay",  # decides pods and workloads as if they were created now: Findings by workload; raises RequestError
    "Retention",  # what the store keeps at most: seconds, decisions, bytes
    "Selection",  # which pods a Replay is about: of some namespaces, with some labels
    "StoredDecision",  # a decision out of the store, to be made again
    "StoredDecisions",  # the store in a folder, to read; raises UnusableError
    "Summary",  # what Findings come to together: totals, lines for tables, and whether a bundle is ready to enforce
    "UnusableError",  # what is kept can't be read or made again: the text says why
    "Workload",  # whose pods they are
    "as_asked_for",  # a running pod as its workload's template, or `kubectl apply`, says, and who says so
    "as_created",  # a running pod as it was before it was bound
    "as_html",  # a Summary as one HTML page to forward
    "as_yaml",  # plain data as YAML that people read
    "by_admission",  # kept decisions, each admission of a pod once: what was decided last, and before
    "descheduler",  # a policy file of the descheduler that evicts pods that drifted
    "drift_of",  # the pods of Rows that would not be let where they run
    "gather",  # give a Replay what is to be decided, by several processes; raises RequestError, LostError
    "in_order",  # findings in order of their workloads
    "loads_of",  # the Loads that findings come to
    "moved",  # the Moves of pods that were decided by one revision and by the next
    "outdated",  # whether a Report says something else than it is to say
    "own_labels",  # the labels by which Reports of a bundle are known
    "places_of",  # nodes by name, each with the pool that it belongs to
    "replayed",  # documents with running pods as they were created, finished ones left out
    "reports_of",  # the Reports of OpenReports that Findings come to
    "rows",  # what a Replay comes to, by several processes; raises RequestError, LostError
    "script",  # the commands that move pods that drifted
    "selector_of",  # a label selector as kubectl takes it; raises ValueError
    "shortened",  # a reason as long as a table has room for
    "taken_for_manifests",  # what to say of a file that holds decisions, where manifests are expected
    "unified",  # the lines of a unified diff of two objects as YAML
    "what_happens",  # what would happen to the pods of a Finding, in a few words
    "why",  # why, in a few words
    "workload_in",  # the workload that a Report says it is about
    "worth_telling",  # whether there is anything to say about a Finding
]
