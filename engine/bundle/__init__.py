"""A bundle as its author wrote it: policies, exemptions, tests and constants, as frozen values.

In the pipeline: files (name to text) go in, `parse_bundle` gives a `Bundle` and every problem of their documents. Its
expressions are still text, as `Excerpt`s; `engine.program` compiles them.

Start with `model.py` (what a bundle is); `fields.py` has the tables of all fields, `reader.py` puts the documents of
the files together, `params.py` checks constants against their schema, `overrides.py` lays others over them,
`selector.py` matches labels. `definitions.py` makes custom resources of the tables.
"""

from engine.bundle.definitions import (
    BUNDLE_LABEL,
    BUNDLES,
    POLICIES,
    RESOURCES,
    Resource,
    canonical,
    definition,
    document_schema,
    whole_schema,
)
from engine.bundle.model import (
    FAILURE_POLICIES,
    MODES,
    SYSTEM_NAMESPACES,
    Bundle,
    Case,
    Exemption,
    Expression,
    FailurePolicy,
    HandsOn,
    JointRevision,
    Mode,
    Named,
    Outcome,
    PodTerm,
    Policy,
    Preference,
    Revision,
    Share,
    Spread,
    Test,
    Tolerance,
)
from engine.bundle.overrides import overridden
from engine.bundle.params import Schema, schema_like
from engine.bundle.reader import parse_bundle
from engine.bundle.selector import LabelRequirement, Selector

__all__ = [
    "BUNDLES",  # the Resource of what a bundle's policies share
    "BUNDLE_LABEL",  # the label of an object that says of which bundle it is
    "FAILURE_POLICIES",  # all of FailurePolicy
    "MODES",  # all of Mode, from the least careful to the most careful
    "POLICIES",  # the Resource of policies
    "RESOURCES",  # all kinds of a bundle's documents that are objects of a cluster, too
    "SYSTEM_NAMESPACES",  # namespaces whose pods are left alone unless `handsOn` names them
    "Bundle",  # policies, exemptions, tests and constants, and the files that they were read from
    "Case",  # one case of a Test: a pod and what to expect
    "Exemption",  # pods that policies leave alone, and why
    "Expression",  # an expression and the message of its author
    "FailurePolicy",  # what an error makes of a policy: Ignore or Fail
    "HandsOn",  # what of system pods is not left alone after all
    "JointRevision",  # the Revisions of bundles that decide together
    "LabelRequirement",  # what a Selector asks of one label
    "Mode",  # enforce, audit or off
    "Named",  # a variable or a match condition: name and expression
    "Outcome",  # what became of a policy for one pod, in one word
    "PodTerm",  # an entry of `podAffinity` or `podAntiAffinity`
    "Policy",  # one PlacementPolicy
    "Preference",  # an entry of `prefer`: an expression with a weight of 1 to 100, or a score
    "Resource",  # a kind of objects of a cluster
    "Revision",  # what exactly is active: name, version, SHA-256 of the files, and of what was laid over
    "Schema",  # what a constant of `params` may be
    "Selector",  # a Kubernetes label selector
    "Share",  # an entry of `split`: so many of a hundred pods, and what is asked of their nodes
    "Spread",  # an entry of `spread`: a topology spread constraint
    "Test",  # one PlacementTest: cases, and the pools that they run on
    "Tolerance",  # an entry of `tolerate`: an expression, and for how long
    "canonical",  # the document that an object of a cluster stands for
    "definition",  # the CustomResourceDefinition of a Resource
    "document_schema",  # the JsonSchema of a document, by its kind
    "overridden",  # the Bundle with constants of a cluster's; raises BundleError
    "parse_bundle",  # the Bundle of files, and everything that is wrong with them
    "schema_like",  # what may take the place of a constant where a bundle has no schema: data of the same kind
    "whole_schema",  # a JsonSchema as a document of its own
]
