"""What can be told from an expression's syntax tree: which variables, labels and words it reads."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from engine.language import Call, Has, Ident, Index, Literal, Node, Select, children, free_names, reads, walk
from engine.pods import NAME_LABEL
from engine.pools import PLAIN_FIELDS, POOL_FIELDS, Read
from engine.program.model import POD_NAMES
from engine.program.tree import Reads


def says_without_pool(node: Node) -> bool:
    """Whether a part that `&& || !` or `?:` join in an expression over a pool reads nothing of it: a constant."""
    match node:
        case Call(function="_&&_" | "_||_" | "!_" | "_?_:_"):
            return any(not reads(part, "pool") or says_without_pool(part) for part in node.args)
        case _:
            return False


def free_names_by_part(node: Node) -> dict[int, frozenset[str]]:
    """What an expression and each part that `&& || !` or `?:` join in it read, by its `id`: all in one walk."""
    order, found = [node], dict[int, frozenset[str]]()
    for part in order:
        order += _joined(part)
    for part in reversed(order):
        joined = _joined(part)
        found[id(part)] = frozenset().union(*(found[id(one)] for one in joined)) if joined else free_names(part)
    return found


def _joined(node: Node) -> tuple[Node, ...]:
    return node.args if isinstance(node, Call) and node.function in ("_&&_", "_||_", "!_", "_?_:_") else ()


def beside_node(node: Node, names: Sequence[str]) -> Iterator[Node]:
    """The largest parts of an expression that read something, but not `node`."""
    if reads(node, "node"):
        for child in children(node):
            yield from beside_node(child, names)
    elif not isinstance(node, Literal) and (free := free_names(node)) and free.issubset(names):
        yield node


def beyond_author(node: Node) -> bool:
    """Whether a condition is about what the pod's author does not write: the Namespace, or who asks."""
    if free_names(node) & {"pod", "requests"}:
        return False
    return "namespaceObject" in free_names(node) or _reads_user(node)


def _reads_user(node: Node) -> bool:
    match node:
        case Select(operand=Ident(name="request"), field="userInfo"):
            return True
        case _:
            return any(_reads_user(child) for child in children(node))


def reads_namespace(node: Node, variables: Collection[str]) -> bool:
    """Whether an expression reads more of the Namespace than its name, itself or by one of these variables."""
    if not reads(node, "namespaceObject") and not (variables and reads(node, "variables")):
        return False
    return _reads_namespace(node, variables)


def _reads_namespace(node: Node, variables: Collection[str]) -> bool:
    match node:
        case (
            Select(operand=Select(operand=Ident(name="namespaceObject"), field="metadata"), field="name")
            | Has(operand=Select(operand=Ident(name="namespaceObject"), field="metadata"), field="name")
        ):
            return False
        case Index(
            operand=Select(operand=Select(operand=Ident(name="namespaceObject"), field="metadata"), field="labels"),
            index=Literal(value=key),
        ) if key == NAME_LABEL:
            return False
        case Ident(name="namespaceObject" | ".namespaceObject"):
            return True
        case Select(operand=Ident(name="variables"), field=name) | Has(operand=Ident(name="variables"), field=name):
            return name in variables
        case _:
            return any(_reads_namespace(child, variables) for child in children(node))


def variables_read(node: Node) -> set[str]:
    """The names of the policy's variables that an expression reads."""
    fields = (part for part in walk(node) if isinstance(part, (Select, Has)))
    return {part.field for part in fields if isinstance(part.operand, Ident) and part.operand.name == "variables"}


def sides_read(node: Node) -> tuple[bool, bool]:
    """Whether an expression reads of the pod, and of the pool."""
    free = free_names(node)
    return bool(free & set(POD_NAMES)), "pool" in free


def reads_of(node: Node) -> tuple[Reads, bool]:
    """What an expression's text says that it reads of a pool's labels, and whether there are computed keys besides."""
    found: set[Read] = set()
    computed = reads(node, "pool") and _collect_reads(node, found)
    return frozenset(found), computed


def _collect_reads(node: Node, found: set[Read]) -> bool:
    """Adds what an expression reads of a pool; whether labels or values are read in another way than by a known key."""
    match node:
        case Ident(name="pool" | ".pool"):
            found.add(Read("all"))
        case (
            Index(
                operand=Select(operand=Ident(name="pool" | ".pool"), field="labels" | "values" as kind),
                index=Literal(value=str(key)),
            )
            | Select(operand=Select(operand=Ident(name="pool" | ".pool"), field="labels" | "values" as kind), field=key)
            | Has(operand=Select(operand=Ident(name="pool" | ".pool"), field="labels" | "values" as kind), field=key)
            | Call(
                function="@in",
                args=(
                    Literal(value=str(key)),
                    Select(operand=Ident(name="pool" | ".pool"), field="labels" | "values" as kind),
                ),
            )
        ):
            found.add(Read(kind, key))
        case Select(operand=Ident(name="pool" | ".pool")) | Has(operand=Ident(name="pool" | ".pool")):
            if node.field in POOL_FIELDS:
                found.add(Read("listed", POOL_FIELDS[node.field]))
            elif node.field == "capacityTypes":
                found.add(Read("capacity"))
            return node.field in ("labels", "values")
        case _:
            return any([_collect_reads(child, found) for child in children(node)])  # noqa: C419 - every child is looked at
    return False


def seen_of(node: Node) -> Reads | None:
    """All of a pool that an expression's value can depend on; None where that can't be told from its text."""
    found: set[Read] = set()
    return frozenset(found) if _collect_seen(node, found) else None


def _collect_seen(node: Node, found: set[Read]) -> bool:
    """Adds what an expression sees of a pool; whether that is all."""
    match node:
        case Ident(name="pool" | ".pool"):
            return False
        case (
            Index(
                operand=Select(operand=Ident(name="pool" | ".pool"), field="labels"),
                index=Literal(value=str(key)),
            )
            | Select(operand=Select(operand=Ident(name="pool" | ".pool"), field="labels"), field=key)
            | Has(operand=Select(operand=Ident(name="pool" | ".pool"), field="labels"), field=key)
            | Call(
                function="@in",
                args=(Literal(value=str(key)), Select(operand=Ident(name="pool" | ".pool"), field="labels")),
            )
        ):
            found.add(Read("labels", key))
        case (
            Select(operand=Ident(name="pool" | ".pool"), field=field)
            | Has(operand=Ident(name="pool" | ".pool"), field=field)
        ) if field in PLAIN_FIELDS:
            found.add(Read("field", field))
        case (
            Select(operand=Ident(name="pool" | ".pool"), field=field)
            | Has(operand=Ident(name="pool" | ".pool"), field=field)
        ) if field in POOL_FIELDS:
            found.add(Read("listed", POOL_FIELDS[field]))
        case _:
            return all(_collect_seen(child, found) for child in children(node))
    return True


def reads_capacity_type(node: Node) -> bool:
    """Whether an expression reads `node.capacityType`, which each provider's labels say in another way."""
    fields = (part for part in walk(node) if isinstance(part, (Select, Has)) and part.field == "capacityType")
    return any(isinstance(part.operand, Ident) and part.operand.name == "node" for part in fields)


def reads_taint_key(node: Node) -> bool:
    """Whether an expression reads `taint.key`."""
    match node:
        case Select(operand=Ident(name="taint"), field="key"):
            return True
        case _:
            return any(reads_taint_key(child) for child in children(node))
