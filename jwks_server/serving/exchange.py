"""The states of a connection, the events that change them, and nothing else: no I/O, no clock.

``TRANSITIONS`` is the whole machine. An event that has no entry for the current state is a fault of the caller, except
for those in ``EXTERNAL``, which the client or the kernel can cause at any time: they leave the state as it is.
"""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType


class State(Enum):
    """What a connection is in the middle of."""

    HANDSHAKING = auto()  # TLS is not established yet
    IDLE = auto()  # between two requests; nothing is buffered
    BLANK = auto()  # between two requests; a part of an empty line is buffered
    READING = auto()  # a head has begun, or whole heads are buffered
    QUEUED = auto()  # whole heads may be buffered; it is other connections' turn
    ANSWERING = auto()  # aiohttp has a head and has not answered it yet
    STALLED = auto()  # as ANSWERING, and the client does not read
    CHOKED = auto()  # the client does not read its replies, so its requests wait
    LAST_CALL = auto()  # the server stops; idle for a last moment
    LINGERING = auto()  # the last reply is written; what still arrives is read and discarded
    CLOSING = auto()  # the last reply is written; closed as soon as it is sent
    CLOSED = auto()

    __hash__ = object.__hash__  # members are unique; Enum's own hash is a function in Python


class Event(Enum):
    """What changes the state."""

    SECURED = auto()  # the TLS handshake is complete
    BLANK_BEGUN = auto()  # a part of an empty line arrived
    HEAD_BEGUN = auto()  # the first byte of a head arrived
    EMPTIED = auto()  # every buffered head is answered
    TURN_OVER = auto()  # enough heads were answered for now
    TURN = auto()  # it is this connection's turn again
    PASSED_ON = auto()  # aiohttp got a head
    ANSWERED = auto()  # aiohttp has answered it
    WRITE_PAUSED = auto()  # the client does not read
    WRITE_RESUMED = auto()  # it does again
    STOPPED = auto()  # the server stops
    FINISHED = auto()  # the last reply is written, and more may arrive
    ENDED = auto()  # there is nothing more to write or to read
    LOST = auto()  # the transport is closed

    __hash__ = object.__hash__  # as above


# The client, the kernel, the clock and the shutdown cause these; their timing is not this program's.
EXTERNAL = frozenset({Event.WRITE_PAUSED, Event.WRITE_RESUMED, Event.TURN, Event.STOPPED, Event.LOST})

# The last reply is written.
ENDING = frozenset({State.LINGERING, State.CLOSING, State.CLOSED})
# An answer is in progress, or will be without another byte: such a connection outlives its client's half-close.
UNANSWERED = frozenset({State.QUEUED, State.ANSWERING, State.STALLED, State.CHOKED})

_OPEN = tuple(state for state in State if state not in ENDING)

TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.HANDSHAKING, Event.SECURED): State.IDLE,
        **{
            (state, event): result
            for state in (State.IDLE, State.LAST_CALL)
            for event, result in (
                (Event.BLANK_BEGUN, State.BLANK),
                (Event.HEAD_BEGUN, State.READING),
                (Event.PASSED_ON, State.ANSWERING),
                (Event.WRITE_PAUSED, State.CHOKED),
                (Event.EMPTIED, State.IDLE),
            )
        },
        (State.IDLE, Event.STOPPED): State.LAST_CALL,
        (State.BLANK, Event.HEAD_BEGUN): State.READING,
        (State.BLANK, Event.EMPTIED): State.IDLE,
        (State.BLANK, Event.WRITE_PAUSED): State.CHOKED,
        (State.READING, Event.BLANK_BEGUN): State.BLANK,
        (State.READING, Event.EMPTIED): State.IDLE,
        (State.READING, Event.TURN_OVER): State.QUEUED,
        (State.READING, Event.PASSED_ON): State.ANSWERING,
        (State.READING, Event.WRITE_PAUSED): State.CHOKED,
        (State.QUEUED, Event.TURN): State.READING,
        (State.QUEUED, Event.WRITE_PAUSED): State.CHOKED,
        (State.ANSWERING, Event.ANSWERED): State.READING,
        (State.ANSWERING, Event.WRITE_PAUSED): State.STALLED,
        (State.STALLED, Event.ANSWERED): State.CHOKED,
        (State.STALLED, Event.WRITE_RESUMED): State.ANSWERING,
        (State.CHOKED, Event.WRITE_RESUMED): State.READING,
        **{(state, Event.FINISHED): State.LINGERING for state in _OPEN},
        **{(state, Event.ENDED): State.CLOSING for state in (*_OPEN, State.LINGERING)},
        **{(state, Event.LOST): State.CLOSED for state in State},
    }
)


def follow(state: State, event: Event) -> State:
    """Return the state after an event.

    Raises:
        AssertionError: The event is not one that can happen in this state.
    """
    following = TRANSITIONS.get((state, event))
    if following is not None:
        return following
    if event in EXTERNAL:
        return state
    raise AssertionError(f"{event.name} can't happen to a connection that is {state.name}")
