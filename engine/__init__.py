"""The core, pure: no network, no clock, no randomness. From bottom to top, each package may import what stands
below it: `documents` (text to values with places, problems) and `nodeselector` (the algebra of label states and node
selector terms); on them, without knowing each other, `language` (CEL), `bundle` (policies as written), `pools` (what
nodes there are), `pods` (what is decided about) and `placement` (a pod narrowed, and the patch); then `program` (a
bundle compiled), `evaluation` (one policy and one pod), `decision` (all policies and one pod) and `analysis` (what is
certain about a bundle, and its own tests). Each package's `__init__` has its public names and says where to start;
docs/architecture.md shows how they fit together.
"""
