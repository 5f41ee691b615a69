"""What a scan saw -> what to believe of it."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from jwks_server.keys.grace import Held, Settled, settle


@dataclass(frozen=True)
class Seen:
    """A file's content, good or not."""

    text: str
    good: bool = True


GOOD, NEW, BAD = Seen("good"), Seen("new"), Seen("bad", good=False)
ResponseCache = dict[str, Held[Seen]]


def at(now: float, seen: dict[str, Seen], memory: object) -> Settled[Seen]:
    """Settle with a bad file waited for two seconds and a missing one for half a second."""
    held = memory.held if isinstance(memory, Settled) else {}
    return settle(seen, held, now, bad_for=2, gone_for=0.5)


def test_good_files_are_believed_at_once() -> None:
    """A good file replaces its last version without a wait."""
    first = at(0, {"a": GOOD}, None)
    assert (first.items, first.until) == ({"a": GOOD}, None)
    assert at(1, {"a": NEW}, first).items == {"a": NEW}


def test_bad_file_is_waited_for() -> None:
    """A file that turned bad keeps its last good version until the wait ends, from when it was first bad."""
    first = at(0, {"a": GOOD}, None)
    second = at(1, {"a": BAD}, first)
    assert (second.items, second.until) == ({"a": GOOD}, 3)
    third = at(2.9, {"a": BAD}, second)
    assert (third.items, third.until) == ({"a": GOOD}, 3)
    fourth = at(3, {"a": BAD}, third)
    assert (fourth.items, fourth.until) == ({"a": BAD}, None)
    assert at(3.1, {"a": BAD}, fourth).items == {"a": BAD}


def test_half_file_that_is_completed() -> None:
    """A wait ends with the completed file; the next fault has a wait of its own."""
    second = at(1, {"a": BAD}, at(0, {"a": GOOD}, None))
    third = at(2, {"a": NEW}, second)
    assert (third.items, third.until) == ({"a": NEW}, None)
    assert at(10, {"a": BAD}, third).until == 12


def test_missing_name_is_waited_for() -> None:
    """A name that vanished is waited for, for its own time."""
    second = at(1, {}, at(0, {"a": GOOD}, None))
    assert (second.items, second.until) == ({"a": GOOD}, 1.5)
    assert at(1.5, {}, second).items == {}


def test_no_wait_where_none_is_asked_for() -> None:
    """In a volume a missing name is gone at once."""
    first = at(0, {"a": GOOD}, None)
    assert settle({}, first.held, 1, bad_for=2, gone_for=0).items == {}


def test_file_that_never_was_good() -> None:
    """Nothing stands in for a file that never was good."""
    assert at(0, {"a": BAD}, None).items == {"a": BAD}


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from([GOOD, NEW, BAD, None])), min_size=1))
def test_random_histories(history: list[tuple[float, Seen | None]]) -> None:
    """Good content shows at once; a stand-in is the last good content, and never older than its wait."""
    now, memory = 0.0, None
    last_good: Seen | None = None
    faulty_since: float | None = None
    for pause, content in history:
        now += pause
        settled = at(now, {} if content is None else {"a": content}, memory)
        believed = settled.items.get("a")
        if content and content.good:
            assert believed == content
            last_good, faulty_since = content, None
        else:
            faulty_since = now if faulty_since is None else faulty_since
            if believed and believed.good:
                assert believed == last_good
                assert now - faulty_since < 2
            else:
                assert believed == content
                last_good = None
        memory = settled
