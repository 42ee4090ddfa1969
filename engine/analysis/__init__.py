"""What can be said of a bundle before it decides about real pods: conflicts, and its own tests.

The top of the engine: `examine` takes a Bundle, its Program and inventories, and gives an `Examination`: warnings that
are certain (policies that leave a pod no pool together, that no pool satisfies, that are redundant or prefer nothing),
and what could not be decided. `revised` compares two revisions of a bundle by what they mean. `run_tests` decides the
pods of a bundle's test cases and compares; `passing` lets only a program through that passes all of them.

Start with `examination.py`, whose docstring has the claims, and `stage.py` (a program on an inventory, whatever the
pod). `witness.py` makes up pods on which claims are tried, `conflicts.py` searches; `cases.py` runs tests.
"""

from engine.analysis.between import problems_between, tolerated_between
from engine.analysis.cases import Result, passing, run_tests
from engine.analysis.conflicts import Conflict
from engine.analysis.examination import Examination, examine, inventories_of
from engine.analysis.revisions import Example, PolicyChange, Revisions, Version, revised
from engine.analysis.steps import bumped, is_enough
from engine.analysis.versioning import SAID, unraised_version

__all__ = [
    "SAID",  # what became of a policy from one revision to another, in words
    "Conflict",  # policies that leave a pod no pool, with the pod that shows it
    "Examination",  # problems, conflicts, and what could not be decided
    "Example",  # a pod that two revisions of a bundle place otherwise
    "PolicyChange",  # what became of one policy from one revision to another
    "Result",  # one test case, run
    "Revisions",  # what changes from one revision of a bundle to another
    "Version",  # a Bundle and its Program
    "bumped",  # the next version after a change of some Level
    "examine",  # the Examination of a bundle on inventories
    "inventories_of",  # the inventories of a bundle's own files, by name; raises BundleError, RequestError
    "is_enough",  # whether one version says that such a change was made since another
    "passing",  # the program, if it passes the bundle's tests; raises BundleError
    "problems_between",  # for each of several Versions that decide together the Problems that policies of others make
    "revised",  # the Revisions of two Versions on inventories
    "run_tests",  # the Results of a bundle's test cases; raises BundleError
    "tolerated_between",  # the Problems of one of several Versions, without those that another one's policies prevent
    "unraised_version",  # the Problem of a version that is too low for what changed
]
