"""What a webhook kept, as commands read it: where it is, since when, and what of it could not be read."""

from __future__ import annotations

import argparse
import datetime
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audit import StoredDecisions, UnusableError
from cli.errors import CommandError

_LASTING = re.compile(r"(\d{1,9})\s*(s|m|h|d|w)")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def add_store(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """The arguments that say which kept decisions are meant."""
    place = parser.add_mutually_exclusive_group(required=required)
    place.add_argument(
        "--store",
        metavar="DIR",
        type=Path,
        help="decisions that `bayplan serve --store` keeps: that folder, a copy of it, or one of its files",
    )
    place.add_argument(
        "--log",
        metavar="FILE",
        dest="store",
        type=Path,
        help="one file of these, as `--store-as files` writes them; also packed by gzip, or `-` for standard input",
    )
    parser.add_argument(
        "--since",
        metavar="TIME",
        type=since,
        default=0.0,
        help="only those since then: `90m`, `24h` or `7d` ago, or a time in RFC 3339 (default: all that are kept)",
    )


def since(text: str) -> float:
    """A time, or how long ago it was, in seconds since 1970."""
    lasting = _LASTING.fullmatch(text.strip())
    if lasting:
        return time.time() - int(lasting[1]) * SECONDS[lasting[2]]
    try:
        then = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"`{text}` is no time: expected `90m`, `24h`, `7d`, `2026-11-27` or `2026-11-27T12:00:00Z`"
        ) from None
    return (then if then.tzinfo else then.replace(tzinfo=datetime.UTC)).timestamp()


@contextmanager
def kept_in(place: Path) -> Iterator[StoredDecisions]:
    """The decisions that are kept there. What of them could not be read is told at the end, on standard error."""
    try:
        with StoredDecisions(place) as store:
            yield store
            for complaint in store.complaints:
                print(f"bayplan: {complaint}", file=sys.stderr)
    except UnusableError as error:
        raise CommandError(str(error)) from error


def time_of(at: float) -> str:
    """Seconds since 1970 in RFC 3339."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
