"""Write a bundle for the chart: as a ConfigMap, or as values for Helm.

Either holds the archive of the bundle in one value, so that it is replaced as a whole, whoever applies it: no policy
stays because two maps were merged, and no replica sees half of a new version. Folders and names of files survive. Like
`build`, it refuses what activation would refuse; an archive is taken as it is, with what signs it beside it.

A ConfigMap holds 1 MiB at most. `kubectl apply` keeps a copy of what it applies in an annotation, of 256 KiB at most:
for more, say `kubectl apply --server-side`. Helm keeps a release, with its values, in one Secret of 1 MiB.

Exit status: 0 written, 1 the bundle has errors or fails its tests, 2 could not write, or it is too large.

example:
  bayplan bundle policies/gpu -o helm-values > bundle-values.yaml
  bayplan bundle gpu-1.2.0.tar.gz -o configmap --namespace bayplan | kubectl apply --server-side -f -
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
from typing import Any

from cli.archives import Built, built
from cli.errors import CommandError
from delivery import StepFailedError

ARCHIVE, ATTESTATION = "bundle.tar.gz", "bundle.tar.gz.sigstore.json"
"""Keys of the ConfigMap: `serve` finds the one beside the other."""
MAX_CONFIG_MAP = 1 << 20
MAX_ANNOTATIONS = 1 << 18
MAX_VALUES = 360 << 10
"""Bytes of an archive in values: Helm's Secret holds it twice, as a value and in the manifest, and 1 MiB in all."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE", help="a bundle's folder, an archive, or git+…")
    parser.add_argument("-o", "--output", choices=["configmap", "helm-values"], required=True, help="what to write")
    parser.add_argument("--name", metavar="NAME", help="the ConfigMap's name (bayplan-bundle-NAME)")
    parser.add_argument("--namespace", metavar="NAME", help="the ConfigMap's namespace (kubectl's)")


def run(args: argparse.Namespace) -> int:
    try:
        archive = built(args.bundle)
    except StepFailedError as error:
        print(error, file=sys.stderr)
        print(f"bayplan: {args.bundle} would not be activated: {error.step}", file=sys.stderr)
        return 1
    if args.output == "configmap":
        print(_config_map(archive, args.name, args.namespace))
    else:
        print(_values(archive))
    return 0


def _values(archive: Built) -> str:
    _limit(len(archive.data) + len(archive.attestation), MAX_VALUES, "values of Helm", "-o configmap")
    bundle = {
        "archive": _encoded(archive.data),
        "attestation": archive.attestation.decode(),
        "configMap": "",
        "source": "",
    }
    lines = [f"  {key}: {json.dumps(value)}" for key, value in bundle.items()]
    return "\n".join([f"# {_said(archive)}, written by `bayplan bundle -o helm-values`", "bundle:", *lines])


def _config_map(archive: Built, name: str | None, namespace: str | None) -> str:
    size = len(archive.data) + len(archive.attestation)
    _limit(size, MAX_CONFIG_MAP, "a ConfigMap", "`bayplan push` to a registry, or a repository of Git")
    manifest = archive.manifest
    about = {
        "bayplan.dev/bundle": manifest.name,
        "bayplan.dev/version": manifest.version,
        "bayplan.dev/revision": manifest.revision,
        "bayplan.dev/archive": f"sha256:{hashlib.sha256(archive.data).hexdigest()}",
    }
    metadata: dict[str, Any] = {"name": name or f"bayplan-bundle-{manifest.name}"}
    metadata |= {"namespace": namespace} if namespace else {}
    metadata["annotations"] = {key: value for key, value in about.items() if value}
    written: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    written["binaryData"] = {ARCHIVE: _encoded(archive.data)}
    if archive.attestation:
        written["data"] = {ATTESTATION: archive.attestation.decode()}
    text = json.dumps(written, indent=2)
    if len(json.dumps(written)) > MAX_ANNOTATIONS:
        print(
            f"bayplan: this is more than `kubectl apply` can keep in its annotation ({MAX_ANNOTATIONS >> 10} KiB): use "
            "`kubectl apply --server-side`",
            file=sys.stderr,
        )
    return f"# {_said(archive)}, written by `bayplan bundle -o configmap`\n{text}"


def _limit(size: int, limit: int, what: str, instead: str) -> None:
    if size > limit:
        message = f"the archive has {size:,} bytes, and {what} can hold {limit:,}; use {instead} instead"
        raise CommandError(message)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _said(archive: Built) -> str:
    manifest = archive.manifest
    return f"{manifest.name} {manifest.version}" + (f", commit {manifest.revision}" if manifest.revision else "")
