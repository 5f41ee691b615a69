"""Log events for a person at a terminal: short lines that fit its width. JSON and pipes get every field as it is."""

import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, TextIO

import click

from jwks_server import console
from jwks_server.text import printable

# Longer lines are hard to read, however wide the terminal is.
_WIDEST = 100
_CLOCK = len("10:30:07Z ")
_BELOW = " " * _CLOCK
_NAME = len("key-published")
_KID = 8
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)\.\d+Z")
_COLORS = {"warning": "yellow", "error": "red", "critical": "red"}
_SPACES = re.compile(r"\s")


class Renderer:
    """Renders events for a terminal, as one of structlog's processors.

    Args:
        stream: The terminal. Its width is asked for again with each event, since people change it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._colored = console.colored(stream)

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
        """Render an event as lines."""
        limit = min(console.width(self._stream) or _WIDEST, _WIDEST)
        return "\n".join(lines(event, limit, colored=self._colored))


def lines(event: Mapping[str, object], limit: int, *, colored: bool = False) -> Iterator[str]:
    """Lay out an event.

    Args:
        event: Its fields, with ``event``, ``level`` and ``timestamp``.
        limit: The longest line, in columns; a longer word has a line of its own.
        colored: Whether to use colors.
    """
    fields = {name: printable(str(value)) for name, value in event.items() if value is not None and value != ""}
    traceback = str(event.get("exception", "")).splitlines()
    fields.pop("exception", None)
    name, level, now = (fields.pop(one, "") for one in ("event", "level", "timestamp"))
    if name == "serving":
        for line, indent in _serving(event):
            for one in console.wrapped(line, limit, "  ", indent):
                yield click.style(one, bold=True) if colored else one
        return
    clock = (_short(now, "") or now)[-_CLOCK + 1 :]
    said = name if " " in name else f"{name:<{_NAME}}"
    warned = f"{level}: " if level in _COLORS else ""
    text = f"{said} {warned}{_text(name, fields, now, limit)}"
    first, *more = console.wrapped(text.rstrip(), limit, _BELOW, f"{clock} ")
    yield _styled(first, name, level) if colored else first
    yield from more
    yield from map(printable, traceback)


def _styled(line: str, name: str, level: str) -> str:
    """Color the first line: the event is bold, and a warning or an error has its color."""
    bold, color = click.style(name, bold=True), _COLORS.get(level)
    line = line.replace(name, bold, 1)
    return line.replace(f" {level}:", click.style(f" {level}:", fg=color), 1) if color else line


def _text(name: str, fields: dict[str, str], now: str, limit: int) -> str:
    """Write what an event says, without its name."""
    issuer, file = fields.pop("issuer", ""), fields.pop("file", fields.pop("subject", ""))
    place = console.shortened(f"{issuer.lstrip('/')}/{file}".lstrip("/") if file else issuer, limit - _CLOCK - 1)
    if kid := fields.pop("kid", ""):
        following = _next(name, fields, now)
        return f"{kid[:_KID]} {fields.get('alg', '')} {place}{following and f', {following}'}".replace("  ", " ")
    reason, code = fields.pop("reason", ""), fields.pop("code", "")
    parts = [f"{place}:" if place and (fields or reason or code) else place, reason, f"[{code}]" if code else ""]
    parts += [f"{one}={_value(value, now)}" for one, value in fields.items()]
    return " ".join(filter(None, parts))


def _next(name: str, fields: Mapping[str, str], now: str) -> str:
    """Say what happens to a key next, and when; of one that has left, when it did."""
    times = {one: _short(instant, now) for one, instant in fields.items()}
    match name:
        case "key-pending":
            return f"published at {times['publish_at']}" if "publish_at" in times else ""
        case "key-published" if fields.get("safe_to_sign_at", "") > now:
            return f"safe to sign at {times['safe_to_sign_at']}"
        case "key-published" | "key-retiring" if "retires_at" in times:
            return f"leaves the set at {times['retires_at']}"
        case "key-published" if "certificate_not_after" in times:
            return f"its certificate ends at {times['certificate_not_after']}"
        case "key-removed" if "since" in times:
            return f"removed at {times['since']}"
        case _:
            return ""


def _value(value: str, now: str) -> str:
    value = _short(value, now) or value
    return f"'{value}'" if _SPACES.search(value) else value


def _short(instant: str, now: str) -> str:
    """Write a time to the second, without the day if that is today; empty if the text is no time."""
    found = _INSTANT.fullmatch(instant)
    if not found:
        return ""
    return f"{found[2]}Z" if found[1] == now[: len(found[1])] else f"{found[1]}T{found[2]}Z"


def _serving(event: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Write the last lines of a start, and what each begins with."""
    urls, more, keys, issuers = (event.get(name) for name in ("urls", "more", "keys", "issuers"))
    urls = [printable(str(url)) for url in urls] if isinstance(urls, list | tuple) else []
    of = f" of {issuers} issuers" if issuers != 1 else ""
    what = f"{keys or 'no'} key{'' if keys == 1 else 's'}{'' if keys else ' yet'}{of}"
    if len(urls) == 1 and not more:
        yield f"serving {what} at {urls[0]}", ""
    else:
        yield f"serving {what} at", ""
        yield from ((url, "  ") for url in urls)
        if more:
            yield f"and {more} more", "  "
    if page := event.get("status_page"):
        yield f"status page: {printable(str(page))}", ""
