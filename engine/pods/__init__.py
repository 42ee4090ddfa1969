"""TODO."""

from engine.pods.incoming import IncomingPod
from engine.pods.manifests import NAME_LABEL, named, pods_from_documents
from engine.pods.owner import controller, owner_of
from engine.pods.redaction import discretion, may_tell, withheld, without_environment
from engine.pods.rollout import rolled_out
from engine.pods.shape import check_pod

__all__ = [
    "NAME_LABEL",
    "IncomingPod",
    "check_pod",
    "controller",
    "discretion",
    "may_tell",
    "named",
    "owner_of",
    "pods_from_documents",
    "rolled_out",
    "withheld",
    "without_environment",
]
