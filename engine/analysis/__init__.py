"""What can be said of a bundle before it decides about real pods: conflicts, and its own tests.

The top of the engine: `examine` takes a Bundle, its Program and inventories, and gives an `Examination`: warnings that
are certain (policies that leave a pod no pool together, that no pool satisfies, that are redundant or prefer nothing),
and what could not be decided. `run_tests` decides the pods of a bundle's test cases and compares; `passing` lets only a
program through that passes all of them.

Start with `examination.py`, whose docstring has the claims, and `stage.py` (a program on an inventory, whatever the
pod). `witness.py` makes up pods on which claims are tried, `conflicts.py` searches; `cases.py` runs tests.
"""

from engine.analysis.cases import Result, passing, run_tests
from engine.analysis.conflicts import Conflict
from engine.analysis.examination import Examination, examine, inventories_of

__all__ = [
    "Conflict",  # policies that leave a pod no pool, with the pod that shows it
    "Examination",  # problems, conflicts, and what could not be decided
    "Result",  # one test case, run
    "examine",  # the Examination of a bundle on inventories
    "inventories_of",  # the inventories of a bundle's own files, by name; raises BundleError, RequestError
    "passing",  # the program, if it passes the bundle's tests; raises BundleError
    "run_tests",  # the Results of a bundle's test cases; raises BundleError
]
