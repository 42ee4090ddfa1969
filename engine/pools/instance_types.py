"""How many GPUs the instance types of clouds have, as far as it is in their documentation.

Source: https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html. Azure's and Google's are not here.
"""

from __future__ import annotations

from collections.abc import Mapping

_ONE = ("xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge")
_G = {**dict.fromkeys(_ONE, 1), "12xlarge": 4, "24xlarge": 4, "48xlarge": 8}
_EC2: Mapping[str, Mapping[str, int]] = {
    "p2": {"xlarge": 1, "8xlarge": 8, "16xlarge": 16},
    "p3": {"2xlarge": 1, "8xlarge": 4, "16xlarge": 8},
    "p3dn": {"24xlarge": 8},
    "p4d": {"24xlarge": 8},
    "p4de": {"24xlarge": 8},
    "p5": {"4xlarge": 1, "48xlarge": 8},
    "p5e": {"48xlarge": 8},
    "p5en": {"48xlarge": 8},
    "p6-b200": {"48xlarge": 8},
    "g3s": {"xlarge": 1},
    "g3": {"4xlarge": 1, "8xlarge": 2, "16xlarge": 4},
    "g4dn": {**dict.fromkeys(_ONE, 1), "12xlarge": 4, "metal": 8},
    "g4ad": {"xlarge": 1, "2xlarge": 1, "4xlarge": 1, "8xlarge": 2, "16xlarge": 4},
    "g5": _G,
    "g5g": {"xlarge": 1, "2xlarge": 1, "4xlarge": 1, "8xlarge": 1, "16xlarge": 2, "metal": 2},
    "g6": _G,
    "g6e": _G,
    "gr6": {"4xlarge": 1, "8xlarge": 1},
}


def gpus_of(instance_type: str) -> int | None:
    """The GPUs of an instance type; None where it is not in the table, which is not the same as having none."""
    family, _, size = instance_type.partition(".")
    return _EC2.get(family, {}).get(size)
