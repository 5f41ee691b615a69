"""The deadlines of a connection: its state and the time that it has waited -> the deadline that it missed."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from jwks_server.options.settings import Limits
from jwks_server.serving.exchange import State
from jwks_server.stats import Deadline

# How long an open connection is kept when the server stops: its next answer tells the client that it closes.
LAST_CALL_SECONDS = 1.0

_WAITING_FOR: Mapping[State, Deadline | Literal["last-call"]] = MappingProxyType(
    {
        State.HANDSHAKING: "handshake",
        State.IDLE: "idle",
        State.BLANK: "idle",
        State.READING: "head",
        State.STALLED: "write",
        State.CHOKED: "write",
        State.CLOSING: "write",
        State.LINGERING: "body",
        State.LAST_CALL: "last-call",
    }
)


def missed(
    state: State, waited: float, limits: Limits, *, unanswered: bool, unsent: int
) -> Deadline | Literal["last-call"] | None:
    """Return which deadline a connection has missed; None for none.

    Args:
        state: What the connection is in the middle of.
        waited: The seconds since it last made progress.
        limits: How long it may take.
        unanswered: Whether it has not been given a reply yet.
        unsent: The bytes of replies that the client has not received.
    """
    waiting_for = "write" if unsent and state is not State.CLOSED else _WAITING_FOR.get(state)
    if waiting_for is None:
        return None
    return waiting_for if waited >= _seconds(waiting_for, limits, unanswered=unanswered) else None


def _seconds(deadline: Deadline | Literal["last-call"], limits: Limits, *, unanswered: bool) -> float:
    match deadline:
        case "handshake":
            return limits.handshake_timeout
        case "head":
            return limits.head_timeout
        case "idle":
            return limits.head_timeout if unanswered else limits.idle_timeout
        case "body":
            return limits.body_timeout
        case "write":
            return limits.write_timeout
        case "last-call":
            return LAST_CALL_SECONDS
