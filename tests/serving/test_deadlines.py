"""Which deadline a connection has missed, by its state and the time that it waited."""

import pytest

from jwks_server.options.settings import Limits
from jwks_server.serving.deadlines import missed
from jwks_server.serving.exchange import State

LIMITS = Limits(1, head_timeout=1, idle_timeout=2, body_timeout=3, write_timeout=4, handshake_timeout=5)


@pytest.mark.parametrize(
    ("state", "unanswered", "unsent", "deadline", "seconds"),
    [
        (State.HANDSHAKING, True, 0, "handshake", 5),
        (State.IDLE, True, 0, "idle", 1),
        (State.IDLE, False, 0, "idle", 2),
        (State.IDLE, False, 1, "write", 4),
        (State.BLANK, False, 0, "idle", 2),
        (State.READING, False, 0, "head", 1),
        (State.CHOKED, False, 0, "write", 4),
        (State.STALLED, False, 0, "write", 4),
        (State.LINGERING, False, 0, "body", 3),
        (State.LINGERING, False, 1, "write", 4),
        (State.CLOSING, False, 0, "write", 4),
        (State.LAST_CALL, False, 0, "last-call", 1),
    ],
)
def test_deadline(state: State, unanswered: bool, unsent: int, deadline: str, seconds: float) -> None:
    """Each deadline is missed when its time is over, and not before."""
    assert missed(state, seconds - 0.01, LIMITS, unanswered=unanswered, unsent=unsent) is None
    assert missed(state, seconds, LIMITS, unanswered=unanswered, unsent=unsent) == deadline


@pytest.mark.parametrize("state", [State.ANSWERING, State.QUEUED, State.CLOSED])
def test_no_deadline(state: State) -> None:
    """A connection that waits for this server, or is closed, misses none."""
    assert missed(state, 1e9, LIMITS, unanswered=False, unsent=0) is None
