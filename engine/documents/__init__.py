"""Text to values that know where they stood, and the problems that point there.

The bottom of the pipeline: a `Source` (a file's name and text) goes in. `parse_documents` reads a bundle's own files,
in a small and safe part of YAML, to `Map`s, `List`s and `Scalar`s with places; `parse_manifests` reads Kubernetes'
objects as kubectl reads them. A `Shape` reads such a value to a typed one and appends what is wrong to a list of
`Problem`s, so that all mistakes are said at once. BundleError carries problems of a bundle, RequestError what is wrong
with a request or an object.

Start with `source.py` and `problems.py`, then `composer.py` (YAML) and `shapes.py` (tables of fields).
"""

from engine.documents.composer import Reading, oversize, parse_documents
from engine.documents.manifests import Manifest, parse_manifests
from engine.documents.problems import BundleError, Problem, RequestError, did_you_mean, ordered
from engine.documents.quantity import nanos, parse_quantity, spelled, written
from engine.documents.schema import JsonSchema, described, schema_of
from engine.documents.shapes import (
    API_VERSION,
    BAD,
    INT32,
    Bad,
    Field,
    Problems,
    Read,
    Shape,
    any_object,
    bad,
    boolean,
    checked,
    choice,
    constant,
    distinct,
    expression,
    filled,
    head,
    identifier,
    integer,
    items,
    label_key,
    label_value,
    mapping,
    namespace_name,
    number,
    object_name,
    record,
    some,
    text,
)
from engine.documents.showing import printable, printable_json, printable_lines
from engine.documents.source import Excerpt, Source, Span
from engine.documents.tree import List, Map, Plain, Scalar, Value, kind_of
from engine.documents.writing import as_yaml

__all__ = [
    "API_VERSION",  # the `apiVersion` of Bayplan's own documents
    "BAD",  # what a Shape gives for a value that it refused; false
    "INT32",  # 2^31-1, the largest count in a document
    "Bad",  # the type of BAD
    "BundleError",  # a bundle that can't be used: all its problems
    "Excerpt",  # a text read from a source, with the place of each character
    "Field",  # a field of a record: its Shape, its default, whether it is required
    "JsonSchema",  # what a Shape reads, in the words of JSON Schema
    "List",  # a sequence of Values, with its place
    "Manifest",  # one Kubernetes object of a file, as plain data and with places
    "Map",  # a mapping of Values in source order, with its place
    "Plain",  # what `json.loads` makes
    "Problem",  # one thing that is wrong in a bundle, with its place
    "Problems",  # the list that Shapes append to
    "Read",  # the fields of a record by name, as far as they were not refused
    "Reading",  # how much may still be read of a bundle's files
    "RequestError",  # a request or object that can't be used: field path and message
    "Scalar",  # a scalar: its characters, how it was written, its place
    "Shape",  # a function that reads a Value, or gives BAD and appends a Problem
    "Source",  # a file's name and text
    "Span",  # a stretch of a Source: offsets of code points, the end not included
    "Value",  # a Scalar, List or Map
    "any_object",  # a Shape: any map, as plain data
    "as_yaml",  # plain data as YAML that `parse_documents` reads as the same
    "bad",  # appends a Problem and gives BAD
    "boolean",  # a Shape: true or false
    "checked",  # a Shape: text that passes a test
    "choice",  # a Shape: one of a few words
    "constant",  # a Shape: any data that CEL can hold
    "described",  # has a Shape say what it reads
    "did_you_mean",  # a hint with the nearest known name, or an empty string
    "distinct",  # a Shape: a list without repetitions
    "expression",  # a Shape: an expression's Excerpt, unparsed
    "filled",  # a Shape: text that is not empty
    "head",  # the Span to point at for a whole Value
    "identifier",  # a Shape: an identifier of CEL
    "integer",  # a Shape: a whole number, bounds included
    "items",  # a Shape: a list of what another Shape reads, as a tuple
    "kind_of",  # what a Value is, in words: a list, text, a number
    "label_key",  # a Shape: a label's key
    "label_value",  # a Shape: a label's value
    "mapping",  # a Shape: a map with keys of one Shape and values of another
    "namespace_name",  # a Shape: a Namespace's name
    "nanos",  # a quantity in billionths; raises ValueError
    "number",  # a Shape: a number, finite and not negative
    "object_name",  # a Shape: an object's name
    "ordered",  # problems in source order, each once
    "oversize",  # the Problem of a file that is too large
    "parse_documents",  # the documents of a bundle's file, and their problems
    "parse_manifests",  # the Kubernetes objects of a file, YAML or JSON, and their problems
    "parse_quantity",  # a quantity as a Fraction; raises ValueError
    "printable",  # a text with the escapes of what does not show, or moves what does
    "printable_json",  # a line of JSON, with escapes likewise
    "printable_lines",  # the same, its lines kept
    "record",  # a Shape made from a table of Fields
    "schema_of",  # the JsonSchema of a Shape
    "some",  # a Shape: a list that is not empty
    "spelled",  # an amount in billionths as the API server writes it
    "text",  # a Shape: text
    "written",  # a quantity as the API server writes it that has read it; raises ValueError
]
