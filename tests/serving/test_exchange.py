"""The states of a connection: the table alone, and a real connection that any sequence of events drives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, cast

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sites import GET, PATH, statuses

from jwks_server.options.settings import Limits
from jwks_server.published.catalog import Catalog
from jwks_server.serving.connection import HttpConnection
from jwks_server.serving.connections import Connections
from jwks_server.serving.deadlines import LAST_CALL_SECONDS
from jwks_server.serving.exchange import ENDING, EXTERNAL, TRANSITIONS, UNANSWERED, Event, State, follow
from jwks_server.serving.public import application
from jwks_server.serving.response_cache import ResponseCache
from jwks_server.stats import Traffic

LAST = GET[:-2] + b"Connection: close\r\n\r\n"


@pytest.mark.parametrize(("state", "event"), TRANSITIONS, ids=lambda one: one.name)
def test_transition(state: State, event: Event) -> None:
    """Each transition leads where the table says, and to a state that has a way on, or is the end."""
    following = follow(state, event)
    assert following is TRANSITIONS[state, event]
    assert following is State.CLOSED or (following, Event.LOST) in TRANSITIONS


@pytest.mark.parametrize("state", State, ids=lambda one: one.name)
def test_what_has_no_entry(state: State) -> None:
    """What others cause changes nothing where it has no entry; what the program itself would do wrong is a fault."""
    for event in set(Event) - {event for at, event in TRANSITIONS if at is state}:
        if event in EXTERNAL:
            assert follow(state, event) is state
        else:
            with pytest.raises(AssertionError):
                follow(state, event)


def test_one_answer_at_a_time() -> None:
    """While an answer is in progress no head is passed on; an answer ends only what was passed on."""
    passed_on = {state for state, event in TRANSITIONS if event is Event.PASSED_ON}
    answered = {state for state, event in TRANSITIONS if event is Event.ANSWERED}
    assert answered == {State.ANSWERING, State.STALLED}
    assert not passed_on & (UNANSWERED | ENDING)


@given(st.lists(st.sampled_from(Event)))
def test_any_events(events: list[Event]) -> None:
    """Whatever happens, what has ended never begins again, and a lost connection is closed."""
    for begin in (State.IDLE, State.HANDSHAKING):
        state, ending = begin, False
        for event in events:
            with suppress(AssertionError):
                state = follow(state, event)
            assert not ending or state in ENDING
            ending = state in ENDING
        assert follow(state, Event.LOST) is State.CLOSED


class FakeTransport:
    """A transport that keeps what is written, and insists on the rules."""

    def __init__(self, protocol: HttpConnection) -> None:
        self.protocol = protocol
        self.sent = b""
        self.closed = self.half_closed = False
        self.unsent = 0

    def write(self, data: bytes) -> None:
        """Keep data."""
        assert not self.closed
        assert not self.half_closed
        self.sent += data

    def writelines(self, chunks: Any) -> None:
        """Keep data."""
        self.write(b"".join(chunks))

    def write_eof(self) -> None:
        """Close the sending side."""
        self.half_closed = True

    def close(self) -> None:
        """Close."""
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        """Tell whether it is closed."""
        return self.closed

    def pause_reading(self) -> None:
        """Do nothing."""

    resume_reading = pause_reading

    def get_write_buffer_size(self) -> int:
        """Tell how much is not sent yet."""
        return self.unsent

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Know nothing."""
        del name
        return default


EVENTS = st.lists(
    st.one_of(
        st.sampled_from(
            [GET, GET * 20, GET[:10], GET[10:], LAST, b"\r", b"\n", b"\r\n", b"PLAY / HTTP/1.1\r\nHost: a\r\n\r\n"]
        ),
        st.binary(max_size=5),
        st.sampled_from(["pause", "resume", "eof", "turn", "late", "stop"]),
    ),
    max_size=12,
)


@pytest.fixture
async def connections(catalog: Catalog) -> AsyncIterator[Connections]:
    """Make connections that have no listener."""
    runner = web.AppRunner(application(catalog, PATH), shutdown_timeout=0)
    await runner.setup()
    assert runner.server is not None
    traffic = Traffic()
    yield Connections(runner.server, Limits(max_connections=10), ResponseCache(catalog, traffic, Limits()), traffic)
    await runner.cleanup()


async def test_connection_with_unsent_bytes_keeps_its_place(connections: Connections) -> None:
    """A connection whose reply is not sent in full is not closed to make room, although no answer is in progress."""
    connection = HttpConnection(connections)
    transport = FakeTransport(connection)
    connection.connection_made(cast("asyncio.Transport", transport))
    assert connection.evictable
    transport.unsent = 1
    assert not connection.evictable


async def happen(connection: HttpConnection, connections: Connections, event: bytes | str, *, paused: bool) -> bool:
    """Let an event happen to a connection; tell whether the client reads no more, as transports do."""
    match event:
        case bytes():
            connection.data_received(event)
        case "pause" if not paused:
            connection.pause_writing()
            return True
        case "resume" if paused:
            connection.resume_writing()
            return False
        case "late":
            connections.time += 1000.0
            connection.expire()
        case "stop":
            connections.finishing = True
        case _:
            await asyncio.sleep(0)
    return paused


async def drive(connections: Connections, events: list[bytes | str]) -> None:
    """Let events happen to a connection, and look at what it writes."""
    connection = HttpConnection(connections)
    transport = FakeTransport(connection)
    connection.connection_made(transport)  # type: ignore[arg-type]  # it has what a connection needs
    paused = False
    for event in events:
        if transport.closed or (event == "eof" and not connection.eof_received()):
            break
        paused = await happen(connection, connections, event, paused=paused)
    await happen(connection, connections, "resume", paused=paused)
    for _ in range(20):
        await asyncio.sleep(0)
    good = b"".join(one for one in events if isinstance(one, bytes)).count(b"HTTP/1.1\r\nHost: a\r\n")
    replies = statuses(transport.sent)
    assert replies.count(200) <= good
    assert all(status == 200 for status in replies[:-1])
    connection.connection_lost(None)
    assert connection.state is State.CLOSED


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the catalog never changes
@given(events=EVENTS)
def test_any_conversation(catalog: Catalog, events: list[bytes | str]) -> None:
    """No two answers at once, none after the last, nothing written after the end, and the end is reached."""

    async def conversation() -> None:
        runner = web.AppRunner(application(catalog, PATH), shutdown_timeout=0)
        await runner.setup()
        assert runner.server is not None
        traffic = Traffic()
        cache = ResponseCache(catalog, traffic, Limits())
        await drive(Connections(runner.server, Limits(max_connections=10), cache, traffic), events)
        await runner.cleanup()

    asyncio.run(conversation())


async def test_idle_client_has_a_whole_last_call(connections: Connections) -> None:
    """A connection that was idle when the server stopped is closed a whole last call later, not at the first tick."""
    connection = HttpConnection(connections)
    transport = FakeTransport(connection)
    connection.connection_made(transport)  # type: ignore[arg-type]  # it has what a connection needs
    connection.data_received(GET)
    for _ in range(10):
        await asyncio.sleep(0)
    connections.time += LAST_CALL_SECONDS  # less than a tick ago, by a clock that is read once per tick
    connections.finishing = True
    connection.expire()
    assert connection.state is State.LAST_CALL
    connection.data_received(GET)
    assert statuses(transport.sent) == [200, 200]
    connection.expire()
    connections.time += LAST_CALL_SECONDS
    connection.expire()
    assert connection.state in ENDING
    connection.connection_lost(None)


async def test_answers_in_order(connections: Connections) -> None:
    """Pipelined requests are answered in their order, though the client stops reading in between."""
    connection = HttpConnection(connections)
    transport = FakeTransport(connection)
    connection.connection_made(transport)  # type: ignore[arg-type]  # it has what a connection needs
    missing = b"GET /missing HTTP/1.1\r\nHost: a\r\n\r\n"
    connection.data_received(GET + missing + GET)
    assert connection.state.name == "ANSWERING"
    connection.pause_writing()
    assert connection.state.name == "STALLED"
    for _ in range(10):
        await asyncio.sleep(0)
    connection.resume_writing()
    for _ in range(20):
        await asyncio.sleep(0)
    assert statuses(transport.sent) == [200, 404, 200]
    assert connection.state.name == "IDLE"
    connection.connection_lost(None)
