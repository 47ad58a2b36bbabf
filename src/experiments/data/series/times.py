"""Points in time as a table writes them: read, checked for even spacing, and continued."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np

EPOCH = datetime(1970, 1, 1)
_ISO = re.compile(r"(\d{4}-?W\d\d(?:-?\d)?|\d{4}-\d\d-\d\d|\d{8}|\d{4}-\d\d)(?:(\D)(\d\d:?\d?\d?:?\d?\d?))?")
_DATES = {
    "0000-00": "%Y-%m", "0000-00-00": "%Y-%m-%d", "00000000": "%Y%m%d",
    "0000-W00": "%G-W%V", "0000-W00-0": "%G-W%V-%u", "0000W00": "%GW%V", "0000W000": "%GW%V%u",
}  # fmt: skip
_TIMES = {"00": "%H", "00:00": "%H:%M", "00:00:00": "%H:%M:%S", "0000": "%H%M", "000000": "%H%M%S"}
_CALENDAR = {6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}  # by how many digits


@dataclass(frozen=True)
class Times:
    """The column of times.

    Attributes:
        values: (T,) float64: seconds since 1970, in UTC where a zone is given, or the numbers themselves.
        form: "number", or the format for `strftime` in which they were written.
        digits: how many digits the fractions of a second had.
        offsets: (T,) seconds that each point's zone is ahead of UTC; None where no zone is given.
        zulu: whether UTC was written as Z.
    """

    values: np.ndarray
    form: str
    digits: int = 0
    offsets: np.ndarray | None = None
    zulu: bool = False

    def __len__(self) -> int:
        return len(self.values)

    @property
    def monthly(self) -> bool:
        """Whether the points are equal or last days of months, so that steps of 28 to 31 days are even."""
        if self.form == "number" or len(self) < 2 or self.step < 28 * 86400:
            return False
        dates = [_date(value) for value in self.values]
        return len({date.day for date in dates}) == 1 or all(_last_of_month(date) for date in dates)

    @property
    def places(self) -> np.ndarray:
        """(T,) float64: where each point lies, counted in steps from the first; whole numbers if evenly spaced."""
        if len(self) < 2:
            return np.zeros(len(self))
        if self.monthly:
            months = np.array([date.year * 12 + date.month for date in map(_date, self.values)], float)
            return (months - months[0]) / float(np.median(np.diff(months)))
        exact = self._exact
        return (exact - exact[0]) / float(np.median(np.diff(exact)))

    @property
    def _exact(self) -> np.ndarray:
        """(T,) float64: whole microseconds, which seconds since 1970 do not hold exactly, or the numbers as they are."""
        return self.values if self.form == "number" else np.rint(self.values * 1e6)

    @property
    def step(self) -> float:
        """The usual distance of two points: seconds, or as the numbers are."""
        if len(self) < 2:
            return 1.0
        return float(np.median(np.diff(self._exact))) / (1.0 if self.form == "number" else 1e6)

    def after(self, count: int) -> Times:
        """So many points that follow the last one."""
        if self.monthly:
            dates = [_date(value) for value in self.values]
            months = [date.year * 12 + date.month for date in dates]
            step, ends = int(np.median(np.diff(months))), all(_last_of_month(date) for date in dates)
            follow = [months[-1] - 1 + step * (n + 1) for n in range(count)]
            days = [31 if ends else dates[-1].day] * count
            values = _seconds(
                [_day(dates[-1], *divmod(month, 12), day) for month, day in zip(follow, days, strict=True)]
            )
        else:
            values = self.values[-1] + self.step * np.arange(1, count + 1)
        return replace(self, values=values, offsets=None if self.offsets is None else self.offsets[-1:].repeat(count))

    def text(self, place: int) -> str:
        """Return one point as it would be written in the table."""
        value = float(self.values[place])
        if self.form == "number":
            return str(int(value)) if value.is_integer() else f"{value:.15g}"
        zone = None if self.offsets is None else timezone(timedelta(seconds=float(self.offsets[place])))
        # Rounded to what was written, as a float of seconds since 1970 holds some seven digits of a second.
        date = EPOCH + timedelta(microseconds=round(round(value, self.digits or 6) * 1e6))
        if zone is not None:
            date = date.replace(tzinfo=UTC).astimezone(zone)
        text = date.strftime(self.form)
        if self.digits:
            text += f".{date.microsecond:06d}"[: self.digits + 1]
        if zone is None or "%z" in self.form:
            return text
        return text + ("Z" if self.zulu else date.isoformat()[-6:])


def parse(cells: Sequence[str], form: str | None) -> Times:
    """Reads a column of times.

    Args:
        cells: the column's texts.
        form: for `strptime`, such as `%d.%m.%Y`; None: ISO 8601 (also a month alone, 1949-01) or plain numbers.

    Raises:
        ValueError: the first argument is the place of the cell that cannot be read.
    """
    first = cells[0] if cells else ""
    if form is None and _is_number(first):
        return Times(np.array([_each(place, cell, _finite) for place, cell in enumerate(cells)]), "number")
    if form is not None:
        end = ".0" if form in _CALENDAR.values() else ""
        read = [
            _each(place, cell, lambda text: datetime.strptime(text.removesuffix(end), form))
            for place, cell in enumerate(cells)
        ]
        return Times(_seconds(read), form, 0, _offsets(read))
    read = [_each(place, cell, _iso) for place, cell in enumerate(cells)]
    fraction = re.compile(r"[.,](\d+)(?:Z|[+-]\d\d.*)?$")
    digits = max((len(match.group(1)) for cell in cells if (match := fraction.search(cell.strip()))), default=0)
    return Times(
        _seconds(read), _form_of(max(cells, key=len)), min(digits, 6), _offsets(read), first.strip().endswith("Z")
    )


def calendar_form(cells: Sequence[str]) -> str | None:
    """Return the format of times that were written as whole numbers, 201607 or 2016070123; None where one is no such time.

    Read as numbers, the step from the last of a year, month, day or hour to the first of the next would be another.
    """
    written = [cell.strip().removesuffix(".0") for cell in cells]  # as pandas writes a column that lacks some
    form = _CALENDAR.get(len(written[0]) if written else 0)
    if form is None or not all(text.isascii() and text.isdigit() and len(text) == len(written[0]) for text in written):
        return None
    try:
        years = {datetime.strptime(text, form).year for text in written}
    except ValueError:
        return None
    return form if min(years) >= 1900 and max(years) <= 2100 else None


def _each(place: int, cell: str, read: Any) -> Any:
    try:
        return read(cell.strip())
    except (ValueError, OverflowError):
        raise ValueError(place) from None


def _is_number(cell: str) -> bool:
    """Tell whether it is a number rather than a date written as 20160701."""
    cell = cell.strip()
    if (len(cell) == 8 and cell.isdigit()) or "_" in cell:
        return False
    try:
        return bool(np.isfinite(float(cell)))
    except ValueError:
        return False


def _finite(text: str) -> float:
    value = float(text)
    if not np.isfinite(value) or "_" in text:
        raise ValueError(text)
    return value


def _iso(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}-01" if len(text) == 7 and text[4] == "-" else text)


def _form_of(text: str) -> str:
    """Return the format of a time in ISO 8601, without its fraction of a second and its zone."""
    match = _ISO.match(text.strip())
    assert match is not None  # it has been read
    date, between, time = (re.sub(r"\d", "0", part or "") for part in match.groups())
    return _DATES[date] + (between + _TIMES[time] if time else "")


def _seconds(dates: Sequence[datetime]) -> np.ndarray:
    """Seconds since 1970; a date that has no zone stands for itself.

    Raises:
        ValueError: some dates have a zone and others none; the argument is the place of the first that differs.
    """
    for place, date in enumerate(dates):
        if (date.tzinfo is None) != (dates[0].tzinfo is None):
            raise ValueError(place)
    origin = EPOCH if not dates or dates[0].tzinfo is None else EPOCH.replace(tzinfo=UTC)
    return np.array([(date - origin).total_seconds() for date in dates], dtype=np.float64)


def _offsets(dates: Sequence[datetime]) -> np.ndarray | None:
    offsets = [date.utcoffset() for date in dates]
    return (
        np.array([offset.total_seconds() for offset in offsets if offset is not None])
        if offsets and offsets[0] is not None
        else None
    )


def _day(like: datetime, year: int, month: int, day: int) -> datetime:
    """Return the time of day of `like` on a day of a month (counted from 0), or on that month's last."""
    return like.replace(year=year, month=month + 1, day=min(day, calendar.monthrange(year, month + 1)[1]))


def _last_of_month(date: datetime) -> bool:
    return date.day == calendar.monthrange(date.year, date.month)[1]


def _date(value: float) -> datetime:
    return EPOCH + timedelta(seconds=float(value))
