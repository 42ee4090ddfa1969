"""Redaction: the values of a pod's environment, kept out of errors and out of logs.

An expression may read them, and an error quotes the value that it met (`cannot convert "…" to int`); that sentence goes
to whoever creates the pod, and to the log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
HIDDEN = '"…"'
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
WITHHELD = "an error that is not told, for the expression may read the pod's environment"
_READS_POD = re.compile(r"\b(pod|variables)\b")
_OF_LABELS = r"[lL]abels|annotations|nodeSelector"
_LABEL_CALLED_ENV = re.compile(
    rf"""\b\w*({_OF_LABELS})\s*(\.\s*\??\s*env\b|\[\s*\??\s*["']env["']\s*\])"""
    rf"""|["']env["']\s+in\s+[\w.?\s]*({_OF_LABELS})\b"""
)
"""A label that is called `env`, as many are: no variable of an environment."""
_READS_ENVIRONMENT = re.compile(r"\b(env|dyn|format|(?<!pool\.)annotations)\b|last-applied")
_ONE_ANNOTATION = re.compile(
    r"""\bin\s+[\w.?]*\bannotations\b(\.orValue\(\{\}\))?(?!\s*[.\[(])"""  # "x" in pod.metadata.annotations
    r"""|\bhas\([\w.]+\.annotations\)"""
    r"""|\bannotations(\.orValue\(\{\}\))?\s*(?=\[\s*\??\s*("[^"\\]*"|'[^'\\]*')\s*\])"""  # annotations["x"]
)
"""What asks for an annotation by a constant key, so that kubectl's copy of the manifest is only read if it is named."""
_PLACED = re.compile(r"(:\d+:\d+: ).*", re.DOTALL)
SEARCHED = 1 << 22
"""Characters of the environment that are searched for what one pod's decision quotes, in all: milliseconds."""
_BETWEEN = "\0"  # values: a piece of two of them with this in it is hidden, too
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def redacted(text: str, pod: Mapping[str, Any]) -> str:
    """The text without what it quotes of the pod's environment: whole values, and parts of them where a value failed.

    A missing key is only hidden where it is a whole value, for it usually is one that the policy's author wrote.
    """
    return redactor(pod)(text)


def reads_environment(expression: str) -> bool:
    """Whether an expression may read a pod's environment, so that all that its errors say may come of it.

    Also where kubectl wrote it down: in an annotation, which repeats the manifest.
    """
    if not _READS_POD.search(expression):
        return False
    return _READS_ENVIRONMENT.search(_ONE_ANNOTATION.sub("", _LABEL_CALLED_ENV.sub("", expression))) is not None


def withheld(error: str) -> str:
    """An error of such an expression without what it says, only where it is; others as they are."""
    return _PLACED.sub(lambda found: found.group(1) + WITHHELD, error, count=1)


def redactor(pod: Mapping[str, Any]) -> Callable[[str], str]:
    """`redacted` for many texts about one pod, whose environment is looked at once, and only if something is quoted."""
    hidden = _Hidden(pod)

    def hide(text: str) -> str:
        if '"' not in text or not hidden.secrets:
            return text
        return _QUOTED.sub(lambda found: HIDDEN if hidden.tells(found, text) else found.group(), text)

    return hide


class _Hidden:
    """The values of one pod's environment, and which quoted parts of texts tell them: each is looked for once.

    After SEARCHED characters nothing is looked for any more: what has not been found to be harmless tells.
    """

    def __init__(self, pod: Mapping[str, Any]) -> None:
        self._pod = pod
        self._known: dict[str, bool] = {}
        self._left = SEARCHED

    @cached_property
    def secrets(self) -> frozenset[str]:
        return frozenset(_environment(self._pod))

    @cached_property
    def _together(self) -> str:
        """All values, so that one search finds a piece of any."""
        return _BETWEEN.join(self.secrets)

    def tells(self, found: re.Match[str], text: str) -> bool:
        """Whether a quoted part of a text is a value of the environment, or a piece of one."""
        try:
            said = json.loads(found.group())
        except ValueError:
            said = found.group()[1:-1]
        if said in self.secrets:
            return True
        return bool(said) and not text.endswith("no such key: ", 0, found.start()) and self._is_piece(said)

    def _is_piece(self, said: str) -> bool:
        known = self._known.get(said)
        if known is None:
            self._left -= len(self._together)
            known = self._known[said] = self._left < 0 or said in self._together
        return known


def _environment(pod: Mapping[str, Any]) -> Iterator[str]:
    """The values of a pod's environment, and those that kubectl's copy of the manifest repeats."""
    yield from _values(pod.get("spec") or {})
    applied = ((pod.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    try:
        manifest = json.loads(applied) if applied else None
    except (TypeError, ValueError, RecursionError):
        return
    if isinstance(manifest, dict):
        yield from _values(manifest.get("spec"))


def _values(spec: Any) -> Iterator[str]:
    """The values of the environment in what may be a pod's spec: anybody may have written it."""
    for field in CONTAINERS:
        for container in _maps(spec, field):
            for variable in _maps(container, "env") if "env" in container else ():
                if value := variable.get("value"):
                    yield str(value)


def _maps(value: Any, field: str) -> list[Mapping[str, Any]]:
    """The maps in a list that a map may hold under a field. What JSON has is asked for first, which is fast."""
    listed = value.get(field) if isinstance(value, (dict, Mapping)) else None
    if isinstance(listed, (list, Sequence)) and not isinstance(listed, str):
        return [one for one in listed if isinstance(one, (dict, Mapping))]
    return []


def without_environment(pod: Mapping[str, Any]) -> dict[str, Any]:
    """The pod with every value of its environment taken out, and kubectl's copy of the manifest, which repeats them.

    What is not there is not added: to policies that read neither, it is the same pod.
    """
    clean = dict(pod)
    metadata, spec = pod.get("metadata"), pod.get("spec")
    if isinstance(metadata, Mapping) and isinstance(metadata.get("annotations"), Mapping):
        kept = {key: value for key, value in metadata["annotations"].items() if key != LAST_APPLIED}
        clean["metadata"] = {**metadata, "annotations": kept}
    if isinstance(spec, Mapping):
        bare = {field: [*map(_without_values, spec[field])] for field in CONTAINERS if _listed(spec.get(field))}
        clean["spec"] = {**spec, **bare}
    return clean


def _without_values(container: Any) -> Any:
    if not isinstance(container, Mapping) or not _listed(container.get("env")):
        return container
    names = (entry.get("name", "") if isinstance(entry, Mapping) else "" for entry in container["env"])
    return {**container, "env": [{"name": str(name), "value": ""} for name in names]}


def _listed(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
