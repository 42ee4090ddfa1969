"""What a kubelet would run for a Deployment: its container's arguments, with the volumes laid out on this machine."""

from __future__ import annotations

import base64
from pathlib import Path

from .controlplane import ControlPlane, Json

DATED = "..2026_01_01_00_00_00.1"


def container_arguments(cluster: ControlPlane, deployment: Json, folder: Path) -> list[str]:
    """The arguments of the only container; what they name below a mount path is below `folder` now."""
    namespace = deployment["metadata"]["namespace"]
    spec = deployment["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    arguments = [str(argument) for argument in container["args"]]
    for mount in container["volumeMounts"]:
        path = mount["mountPath"]
        place = folder / path.lstrip("/")
        if "emptyDir" in volumes[mount["name"]]:
            place.mkdir(parents=True)
        else:
            lay_out(contents(cluster, namespace, volumes[mount["name"]]), place)
        arguments = [argument.replace(path, str(place)) for argument in arguments]
    return arguments


def contents(cluster: ControlPlane, namespace: str, volume: Json) -> dict[str, bytes]:
    """The files of a volume of kind ConfigMap or Secret, by path."""
    core = f"/api/v1/namespaces/{namespace}"
    if "configMap" in volume:
        source = volume["configMap"]
        stored = cluster.api("GET", f"{core}/configmaps/{source['name']}")
        data = {key: text.encode() for key, text in stored.get("data", {}).items()}
        data |= {key: base64.b64decode(text) for key, text in stored.get("binaryData", {}).items()}
    else:
        source = volume["secret"]
        stored = cluster.api("GET", f"{core}/secrets/{source['secretName']}").get("data", {})
        data = {key: base64.b64decode(text) for key, text in stored.items()}
    items = source.get("items") or [{"key": key, "path": key} for key in data]
    return {item["path"]: data[item["key"]] for item in items}


def lay_out(files: dict[str, bytes], folder: Path) -> None:
    """Write files as a kubelet does: into a hidden, dated folder, with links to what is at its top."""
    for path, content in files.items():
        file = folder / DATED / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (folder / "..data").symlink_to(DATED)
    for top in {Path(path).parts[0] for path in files}:
        (folder / top).symlink_to(Path("..data") / top)
