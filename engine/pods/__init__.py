"""TODO."""

from engine.pods.incoming import IncomingPod
from engine.pods.manifests import NAME_LABEL, named, pods_from_documents
from engine.pods.owner import controller, owner_of
from engine.pods.redaction import reads_environment, redactor, withheld, without_environment
from engine.pods.rollout import rolled_out
from engine.pods.shape import check_pod

__all__ = [
    "NAME_LABEL",
    "IncomingPod",
    "check_pod",
    "controller",
    "named",
    "owner_of",
    "pods_from_documents",
    "reads_environment",
    "redactor",
    "rolled_out",
    "withheld",
    "without_environment",
]
