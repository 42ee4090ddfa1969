"""TODO."""

from engine.analysis.cases import FailedTestsError, Result, passing, run_tests
from engine.analysis.conflicts import Conflict
from engine.analysis.examination import Examination, examine, inventories_of

__all__ = [
    "Conflict",
    "Examination",
    "FailedTestsError",
    "Result",
    "examine",
    "inventories_of",
    "passing",
    "run_tests",
]
