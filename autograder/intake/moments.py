"""Reads times as people, Canvas, Moodle and spreadsheets write them. An ambiguous time is refused, never guessed."""

import functools
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from dateutil import parser as dates

EXAMPLE = "2027-01-31T23:59:00+01:00"
LANGUAGES = ("en", "de", "de_AT", "fr", "es", "it", "nl", "pt")  # in which names of months and days are known
FILLERS = ["at", "um", "uhr", "à", "de", "del", "alle", "ore", "om", "às", "h"]
CLOCK = re.compile(
    r"(.*?[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?:\s*[ap]\.?\s?m\b\.?)?(?:\s*Uhr)?)(.*)", re.I
)
OFFSET = re.compile(r"(?:(?:UTC|GMT)\s*)?([+\-−])\s?([0-9]{1,2})(?::?([0-5][0-9]))?", re.I)
ZONE = re.compile(r"\s*([^()\[\]]*?)\s*(?:[(\[]([^()\[\]]*)[)\]])?\s*")
DEFAULTS = (datetime(2001, 3, 4, 5, 6), datetime(2012, 9, 11, 13, 14))  # a part that differs between them was not given
# Abbreviations of time zones, each with a place. IST, CST, AST, SST … are missing because they are used in several.
PLACES = {
    **dict.fromkeys(("CET", "CEST", "MEZ", "MESZ"), "Europe/Berlin"),
    **dict.fromkeys(("WET", "WEST"), "Europe/Lisbon"),
    **dict.fromkeys(("EET", "EEST"), "Europe/Helsinki"),
    **dict.fromkeys(("EST", "EDT"), "America/New_York"),
    **dict.fromkeys(("PST", "PDT"), "America/Los_Angeles"),
    **dict.fromkeys(("AKST", "AKDT"), "America/Anchorage"),
    **dict.fromkeys(("NST", "NDT"), "America/St_Johns"),
    **dict.fromkeys(("NZST", "NZDT"), "Pacific/Auckland"),
    **{"BST": "Europe/London", "MSK": "Europe/Moscow", "CDT": "America/Chicago", "MST": "America/Phoenix"},
    **{"MDT": "America/Denver", "HST": "Pacific/Honolulu", "JST": "Asia/Tokyo", "KST": "Asia/Seoul"},
    **{"HKT": "Asia/Hong_Kong", "PKT": "Asia/Karachi", "WIB": "Asia/Jakarta", "SAST": "Africa/Johannesburg"},
    **{"EAT": "Africa/Nairobi", "CAT": "Africa/Maputo", "WAT": "Africa/Lagos", "AWST": "Australia/Perth"},
    **{"AEST": "Australia/Brisbane", "AEDT": "Australia/Sydney", "ACST": "Australia/Darwin"},
    **{"ACDT": "Australia/Adelaide"},
}
GERMAN = {"MEZ": "CET", "MESZ": "CEST"}


def moment(text: str, zone: tzinfo | None = None) -> datetime:
    """Return the moment, with its zone. `zone` is used for a time that names none.

    The message of a ValueError says what is wrong with the text: "'…' has no zone".
    """
    text = " ".join(text.split())
    try:
        when = datetime.fromisoformat(text)
        if not re.search(r"[T ][0-9]", text):
            raise ValueError(f"'{text}' has no time of day")
        said = None
    except ValueError as e:
        if "time of day" in str(e):
            raise
        text_of_date, said = _apart(text)
        when = _local(text_of_date, text)
    if when.tzinfo:
        return when
    if said is None and zone is None:
        raise ValueError(f"'{text}' has no zone")
    return when.replace(tzinfo=zone if said is None else timezone(_offset(said, when, zone, text)))


def _apart(text: str) -> tuple[str, str | None]:
    """Split off what follows the time of day, if that can be a zone; otherwise (text, None)."""
    if not (m := CLOCK.fullmatch(text)):
        return text, None
    rest, year = re.fullmatch(r"(.*?)((?: [0-9]{4})?)", m[2].strip()).groups()  # Thu Jul 1 23:54:00 CEST 2027
    if not rest.strip(" ,"):
        return text, None
    words = re.split(r"[\s,]+", rest.strip(" ,"))
    known = _words()
    dated = any(w.casefold().strip(".") in known or re.fullmatch(r"[0-9]{1,2}\.?", w) for w in words)
    return (text, None) if dated else (m[1] + year, rest.strip(" ,"))


def _offset(said: str, when: datetime, zone: tzinfo | None, text: str) -> timedelta:
    main, note = ZONE.fullmatch(said).groups() if ZONE.fullmatch(said) else (said, None)
    found = [_one(word, when, zone, text) for word in (main, note) if word]
    known = {f for f in found if f is not None}
    if len(known) != 1 or (main and found[0] is None):
        raise ValueError(f"'{text}' names the zone '{said}', which is unknown here or belongs to several places")
    return known.pop()


def _one(word: str, when: datetime, zone: tzinfo | None, text: str) -> timedelta | None:
    """Return the offset that a word for a zone means at that time; None if that is not certain.

    ValueError if the clocks show another time on that day, such as EST in summer.
    """
    if m := OFFSET.fullmatch(word):
        minutes = 60 * int(m[2]) + int(m[3] or 0)
        return timedelta(minutes=minutes if m[1] == "+" else -minutes) if minutes <= 14 * 60 else None
    if word.upper() in ("Z", "UTC", "GMT", "UT"):
        return timedelta(0)
    if "/" in word:
        try:
            return ZoneInfo(word).utcoffset(when)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return None
    name, place = GERMAN.get(word.upper(), word.upper()), PLACES.get(word.upper())
    where = zone if zone and name in _names(zone, when) else ZoneInfo(place) if place else None
    if where and name not in _names(where, when):
        raise ValueError(f"'{text}' says {word}, which is not the time on that day in {where}")
    return _names(where, when)[name] if where else None


def _names(zone: tzinfo, when: datetime) -> dict[str | None, timedelta | None]:
    """Return the names of a zone's time at that moment with their offsets: two when the clocks are changed."""
    both = (when.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    return {moment.tzname(): moment.utcoffset() for moment in both}


def _local(text: str, whole: str) -> datetime:
    """Return a date and time without a zone; ValueError unless all possible orders of day and month agree."""
    cleaned = re.sub(r"([0-9])\.(?=\s)", r"\1", text)
    cleaned = re.sub(r"\b([0-9]{1,2})\s?h\s?([0-9]{2})\b", r"\1:\2", cleaned)
    cleaned = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", cleaned, flags=re.I)
    dotted = re.search(r"\b[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{2,4}\b", text)  # nobody writes the month first with dots
    orders = ({"dayfirst": True},) if dotted else ({}, {"dayfirst": True}, {"yearfirst": True})
    if re.match(r"\D*[0-9]{4}[-/.]", text):
        orders = ({"yearfirst": True},)

    def read(order: dict[str, bool]) -> list[datetime]:
        return [dates.parse(cleaned, _words_of_all(), default=d, tzinfos=_no_zone, **order) for d in DEFAULTS]

    try:
        found = [read(order) for order in orders]
    except (ValueError, OverflowError, TypeError, AttributeError):
        raise ValueError(f"'{whole}' is not a time") from None
    if any(a != b for a, b in found):
        raise ValueError(f"'{whole}' is not a complete time: year, month, day and time of day")
    if any(a != found[0][0] for a, _ in found):
        raise ValueError(f"'{whole}' could be one of two days: day and month cannot be told apart")
    return found[0][0]


def _no_zone(name: str | None, offset: int | None) -> None:
    """Refuse what dateutil takes for a zone, since none should be left here. It calls this for every time."""
    if name is not None or offset is not None:
        raise ValueError("a zone that is not where zones are")


@functools.cache
def _words_of_all() -> dates.parserinfo:
    days = list(zip(*map(_days, LANGUAGES)))
    named = {
        "JUMP": [*dates.parserinfo.JUMP, *FILLERS],
        "MONTHS": [tuple({name for names in month for name in names}) for month in zip(*map(_months, LANGUAGES))],
        "WEEKDAYS": [tuple({word for names in day for word in "-".join(names).split("-")}) for day in days],
    }
    return type("Words", (dates.parserinfo,), named)()


def _months(language: str) -> Iterator[tuple[str, ...]]:
    months = Locale.parse(language).months["format"]
    for number in range(1, 13):
        short = months["abbreviated"][number].strip(".").casefold()
        yield months["wide"][number].casefold(), short, short[:3] if language == "en" else short


def _days(language: str) -> list[tuple[str, ...]]:
    days = Locale.parse(language).days["format"]
    own = ("wide", "abbreviated") if language in ("en", "de") else ("wide",)  # `mar.` is a day in French, not a month
    return [tuple(days[width][d].strip(".").casefold() for width in own) for d in range(7)]


@functools.cache
def _words() -> frozenset[str]:
    info = _words_of_all()
    return frozenset(name for names in (*info.MONTHS, *info.WEEKDAYS) for name in names)
