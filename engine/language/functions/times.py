"""Timestamps and durations: reading, writing, and their parts. As Go's time package reads and writes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from engine.language.functions.operators import checked_duration, checked_timestamp
from engine.language.overload import Overload
from engine.language.types import DURATION, INT, STRING, TIMESTAMP, Type
from engine.language.values import CelError, Duration, NoSuchOverload, Timestamp, quoted

SECOND = 10**9
_CYCLE = 400  # years, after which the calendar repeats, week days included
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d{1,2}):(\d\d):(\d\d)(?:[.,](\d+))?(Z|([+-])(\d\d):(\d\d))\Z", re.ASCII)
_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")


def string_to_timestamp(text: str) -> Timestamp:
    """RFC 3339, years 1 to 9999, up to nanoseconds."""
    found = _RFC3339.match(text)
    if found is None:
        raise CelError(f"cannot convert {quoted(text)} to a timestamp: it is not RFC 3339")
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    offset = 0
    if found[8] != "Z":
        offset = (int(found[10]) * 3600 + int(found[11]) * 60) * (-1 if found[9] == "-" else 1)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        if found[8] != "Z" and (int(found[10]) > 24 or int(found[11]) > 59):
            raise ValueError("offset")
    except ValueError:
        raise CelError(f"cannot convert {quoted(text)} to a timestamp: there is no such time") from None
    nanos = int((found[7] or "0")[:9].ljust(9, "0"))
    return checked_timestamp((_seconds(moment) - offset) * SECOND + nanos, offset)


def _seconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return since.days * 86400 + since.seconds


def itself(value: Timestamp) -> Timestamp:
    """A timestamp. That of a Namespace is a text, to Kubernetes too, whatever its type says."""
    if not isinstance(value, Timestamp):
        raise NoSuchOverload("timestamp", value)
    return value


def timestamp_to_string(value: Timestamp) -> str:
    """RFC 3339, with as many digits of a second as needed, in the zone it was written in."""
    seconds, nanos = divmod(value.nanos, SECOND)
    local = datetime(1970, 1, 1) + timedelta(seconds=seconds + value.offset)
    fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
    zone = "Z"
    if value.offset:
        hours, rest = divmod(abs(value.offset), 3600)
        zone = f"{'-' if value.offset < 0 else '+'}{hours:02d}:{rest // 60:02d}"
    return f"{local.year:04d}-{local:%m-%dT%H:%M:%S}{fraction}{zone}"


def int_to_timestamp(seconds: int) -> Timestamp:
    """Seconds since 1970."""
    return checked_timestamp(seconds * SECOND)


def timestamp_to_int(value: Timestamp) -> int:
    """Whole seconds since 1970."""
    return value.nanos // SECOND


def string_to_duration(text: str) -> Duration:
    """Numbers with units, largest first by custom but in any order: `1h30m`, `1.5s`, `-250ms`."""
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if rest == "0":
        return Duration(0)
    total, position = 0, 0
    while position < len(rest) <= 256:
        part = _PART.match(rest, position)
        if part is None or not (part[1] or part[2]):
            break
        unit = _UNITS[part[3]]
        total += int(part[1] or 0) * unit
        total += int(part[2]) * unit // 10 ** len(part[2]) if part[2] else 0
        position = part.end()
    if position < len(rest) or not rest:
        raise CelError(f'cannot convert {quoted(text)} to a duration: write numbers with units, as in "1h30m"')
    return checked_duration(sign * total)


def duration_to_string(value: Duration) -> str:
    """In seconds: `3661.5s`."""
    # Kubernetes goes through a double here
    seconds = float(abs(value.nanos) // SECOND) + (abs(value.nanos) % SECOND) / 1e9
    text = f"{seconds:.9f}" if seconds < 4e6 else format(seconds, "f")
    if float(text) != seconds:
        text = repr(seconds)
    shortest = repr(seconds)
    text = text.rstrip("0").rstrip(".") if "e" in shortest else shortest.removesuffix(".0")
    return f"{'-' if value.nanos < 0 else ''}{text}s"


def duration_to_int(value: Duration) -> int:
    """Nanoseconds, as in Kubernetes."""
    return value.nanos


def same(value: object) -> object:
    return value


@lru_cache(maxsize=256)
def _zone(name: str) -> tzinfo:
    hours, colon, minutes = name.partition(":")
    try:
        if not colon:
            return UTC if name in ("", "UTC") else ZoneInfo(name)
        if not re.fullmatch(r"[+-]?\d{1,4}", hours, re.ASCII) or not re.fullmatch(r"\d{1,4}", minutes, re.ASCII):
            raise ValueError(name)
        east = int(hours) * 60 + (-int(minutes) if hours.startswith("-") else int(minutes))
        return timezone(timedelta(minutes=east))
    except (ValueError, OSError, LookupError):
        raise CelError(f"unknown time zone {quoted(name)}") from None


def _local(value: Timestamp, zone: str) -> tuple[datetime, int]:
    """The date and time in a zone, and the years to add: Python has no year 0 nor 10000, and calendars repeat."""
    where = _zone(zone) if zone else UTC
    moment = _EPOCH + timedelta(seconds=value.nanos // SECOND)
    years = {1: -_CYCLE, 9999: _CYCLE}.get(moment.year, 0)
    return (moment.replace(year=moment.year - years) if years else moment).astimezone(where), years


def _part(read: Callable[[datetime], int]) -> Callable[..., int]:
    def part(value: Timestamp, zone: str = "") -> int:
        return read(_local(value, zone)[0])

    return part


def year(value: Timestamp, zone: str = "") -> int:
    local, years = _local(value, zone)
    return local.year + years


def milliseconds(value: Timestamp, zone: str = "") -> int:
    """The thousandths within the second."""
    if zone:
        _zone(zone)
    return value.nanos % SECOND // 10**6


def _truncated(unit: int) -> Callable[[Duration], int]:
    def whole(value: Duration) -> int:
        return value.nanos // unit if value.nanos >= 0 else -(-value.nanos // unit)

    return whole


def _accessors() -> list[Overload]:
    moment = 'timestamp("2026-03-01T05:06:07.089Z")'
    table: tuple[tuple[str, str, Callable[..., int], int], ...] = (
        ("getFullYear", "timestamp_to_year", year, 2026),
        ("getMonth", "timestamp_to_month", _part(lambda t: t.month - 1), 2),
        ("getDayOfYear", "timestamp_to_day_of_year", _part(lambda t: t.timetuple().tm_yday - 1), 59),
        ("getDayOfMonth", "timestamp_to_day_of_month", _part(lambda t: t.day - 1), 0),
        ("getDate", "timestamp_to_day_of_month_1_based", _part(lambda t: t.day), 1),
        ("getDayOfWeek", "timestamp_to_day_of_week", _part(lambda t: t.isoweekday() % 7), 0),
        ("getHours", "timestamp_to_hours", _part(lambda t: t.hour), 5),
        ("getMinutes", "timestamp_to_minutes", _part(lambda t: t.minute), 6),
        ("getSeconds", "timestamp_to_seconds", _part(lambda t: t.second), 7),
        ("getMilliseconds", "timestamp_to_milliseconds", milliseconds, 89),
    )
    found = []
    for function, name, implementation, value in table:
        example = f"{moment}.{function}() == {value}"
        zoned = f'{moment}.{function}("UTC") == {value}'
        found.append(Overload(function, name, (TIMESTAMP,), INT, implementation, method=True, example=example))
        parameters: tuple[Type, ...] = (TIMESTAMP, STRING)
        found.append(Overload(function, f"{name}_with_tz", parameters, INT, implementation, method=True, example=zoned))
    spans = (
        ("getHours", "hours", 3600 * SECOND, 1),
        ("getMinutes", "minutes", 60 * SECOND, 61),
        ("getSeconds", "seconds", SECOND, 3661),
        ("getMilliseconds", "milliseconds", 10**6, 3661500),
    )
    for function, unit, size, value in spans:
        example = f'duration("1h1m1.5s").{function}() == {value}'
        name = f"duration_to_{unit}"
        found.append(Overload(function, name, (DURATION,), INT, _truncated(size), method=True, example=example))
    return found


OVERLOADS: tuple[Overload, ...] = (
    Overload("timestamp", "timestamp_to_timestamp", (TIMESTAMP,), TIMESTAMP, itself,
             example="timestamp(timestamp(1)) == timestamp(1)"),
    Overload("timestamp", "string_to_timestamp", (STRING,), TIMESTAMP, string_to_timestamp,
             example='timestamp("1970-01-01T00:00:01Z") == timestamp(1)'),
    Overload("timestamp", "int64_to_timestamp", (INT,), TIMESTAMP, int_to_timestamp, example="int(timestamp(7)) == 7"),
    Overload("duration", "duration_to_duration", (DURATION,), DURATION, same,
             example='duration(duration("1s")) == duration("1000ms")'),
    Overload("duration", "string_to_duration", (STRING,), DURATION, string_to_duration,
             example='duration("1h30m") == duration("90m")'),
    Overload("int", "timestamp_to_int64", (TIMESTAMP,), INT, timestamp_to_int,
             example='int(timestamp("1970-01-01T00:01:00Z")) == 60'),
    Overload("int", "duration_to_int64", (DURATION,), INT, duration_to_int, example='int(duration("1us")) == 1000'),
    Overload("string", "timestamp_to_string", (TIMESTAMP,), STRING, timestamp_to_string,
             example='string(timestamp(1)) == "1970-01-01T00:00:01Z"'),
    Overload("string", "duration_to_string", (DURATION,), STRING, duration_to_string,
             example='string(duration("1h1m1.5s")) == "3661.5s"'),
    *_accessors(),
)  # fmt: skip
