"""The progress of a wait, on standard error: a bar on a terminal, else a line for each change."""

import sys
import time
from collections.abc import Collection
from types import TracebackType
from typing import Self

import click

from jwks_server import console
from jwks_server.keys.instants import utc
from jwks_server.remote.gate import UNANSWERED, Gate, Replica
from jwks_server.text import printable

_BAR = 16
# What click writes around the bar and before the item.
_AROUND = 6


class Progress:
    """Shows a gate.

    Args:
        gate: The gate that the command waits for.
        timeout: How long it waits at most, in seconds.
    """

    def __init__(self, gate: Gate, timeout: float) -> None:
        self._gate = gate
        self._deadline = time.time() + timeout
        self._bar = (
            click.progressbar(
                length=1, width=_BAR, file=sys.stderr, show_eta=False, show_percent=False, item_show_func=str
            )
            if sys.stderr.isatty() and console.colored(sys.stderr)  # a bar hides the cursor by an escape code
            else None
        )
        self._told: dict[Replica, str] = {}
        self._opens_at: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.render_finish()

    def show(self, now: float, *, unanswered: bool = False) -> None:
        """Show the current state of the gate.

        Args:
            now: In seconds since the epoch.
            unanswered: Whether to show the replicas, too, that have not answered yet.
        """
        if self._bar is None:
            self._tell(unanswered=unanswered)
            return
        gate = self._gate
        if gate.opens_at is None or gate.since is None:
            done, total = len(gate.answers) - len(gate.waiting), len(gate.answers)
            left = self._deadline - now
        else:
            done, total = int(now - gate.since), int(gate.opens_at - gate.since)
            left = gate.opens_at - now
        self._bar.length, self._bar.pos = max(total, 1), done
        replicas = f"{len(gate.answers) - len(gate.waiting)} of {len(gate.answers)}"
        item = f"{replicas} replicas, {'safe in' if gate.opens_at else 'giving up in'} {_clock(left)}"
        room = _room(item)
        if room < 0:  # a narrow terminal
            item = f"{replicas}, {_clock(left)}"
            room = _room(item)
        self._bar.width = max(_BAR + min(room, 0), 1)
        self._bar.current_item = item + _missing(gate.waiting, room)
        self._bar.render_progress()

    def _tell(self, *, unanswered: bool) -> None:
        told = {
            replica: str(answer)
            for replica, answer in self._gate.answers.items()
            if unanswered or answer != UNANSWERED or replica in self._told
        }
        for replica in sorted(told.keys() | self._told.keys()):
            text = told.get(replica, "is no longer there")
            if self._told.get(replica) != text:
                console.say(printable(f"{replica}: {text}"))
        self._told = told
        if self._gate.opens_at is not None and self._gate.opens_at != self._opens_at:
            console.say(f"every replica meets the condition; done at {utc(self._gate.opens_at)}")
        self._opens_at = self._gate.opens_at


def _room(item: str) -> int:
    return (console.width(sys.stderr) or 0) - _BAR - _AROUND - console.columns(item)


def _missing(waiting: Collection[Replica], room: int) -> str:
    """Name the replicas that are waited for, as many as there is room for; the others are counted."""
    text = ""
    names = sorted(printable(replica.address or replica.url) for replica in waiting)
    for number, name in enumerate(names):
        longer = f"{text}, {name}" if text else f"; missing: {name}"
        more = f" and {len(names) - number - 1} more" if number + 1 < len(names) else ""
        if console.columns(longer + more) > room:
            return f"{text} and {len(names) - number} more" if text else ""
        text = longer
    return text


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(0, int(seconds)), 60)
    return f"{minutes}:{rest:02}"
