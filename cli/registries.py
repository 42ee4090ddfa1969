"""What commands that talk to a registry have in common: its address, and what it is shown."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from cli.errors import CommandError
from delivery import Credentials, SourceError, read_address, read_credentials
from delivery.oci import Reference, reference_of
from engine.struct import replace


def add_credentials(parser: argparse.ArgumentParser) -> None:
    """The argument that says what a registry is shown."""
    parser.add_argument(
        "--credentials",
        metavar="FOLDER",
        type=Path,
        help="a folder with username, password, bearerToken, .dockerconfigjson or ca.crt (what `docker login` keeps)",
    )


def reference(text: str) -> Reference:
    """The artifact that an argument names. Raises BundleError or CommandError."""
    address = read_address(text, "ADDRESS")
    if address.kind != "oci":
        raise CommandError(f"`{text}` is no address in a registry: expected `oci://registry/repository:tag`")
    return reference_of(address.location, address.wanted)


def shown(folder: Path | None) -> Credentials:
    """What there is to show: the folder's files, or without one what Docker's own configuration has."""
    try:
        if folder:
            return read_credentials(folder, "fetch")
        return replace(read_credentials(None, "fetch"), docker=_docker())
    except SourceError as error:
        raise CommandError(str(error)) from error


def _docker() -> str:
    folder = os.environ.get("DOCKER_CONFIG") or os.path.join(os.path.expanduser("~"), ".docker")
    try:
        return (Path(folder) / "config.json").read_text()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"`{folder}/config.json` can't be read: {error}") from error
