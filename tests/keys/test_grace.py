"""The grace period of files that turned bad or vanished."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from jwks_server.keys.grace import Believed, believe


@dataclass(frozen=True)
class Seen:
    """A file's content, good or not."""

    text: str
    good: bool = True


GOOD, NEW, BAD = Seen("good"), Seen("new"), Seen("bad", good=False)


def at(now: float, seen: dict[str, Seen], memory: Believed[Seen] | None) -> Believed[Seen]:
    """Observe with a grace period of two seconds for a bad file and half a second for a missing one."""
    return believe(seen, memory.last_good if memory else {}, now, bad_for=2, gone_for=0.5)


def test_good_files_are_believed_at_once() -> None:
    """A good file replaces its last version without a wait."""
    first = at(0, {"a": GOOD}, None)
    assert (first.items, first.stand_ins) == ({"a": GOOD}, {})
    assert at(1, {"a": NEW}, first).items == {"a": NEW}


def test_bad_file_is_waited_for() -> None:
    """A file that turned bad keeps its last good version until the wait ends, from when it was first bad."""
    first = at(0, {"a": GOOD}, None)
    second = at(1, {"a": BAD}, first)
    assert (second.items, second.stand_ins) == ({"a": GOOD}, {"a": 3})
    third = at(2.9, {"a": BAD}, second)
    assert (third.items, third.stand_ins) == ({"a": GOOD}, {"a": 3})
    fourth = at(3, {"a": BAD}, third)
    assert (fourth.items, fourth.stand_ins) == ({"a": BAD}, {})
    assert at(3.1, {"a": BAD}, fourth).items == {"a": BAD}


def test_half_file_that_is_completed() -> None:
    """A wait ends with the completed file; the next fault has a wait of its own."""
    second = at(1, {"a": BAD}, at(0, {"a": GOOD}, None))
    third = at(2, {"a": NEW}, second)
    assert (third.items, third.stand_ins) == ({"a": NEW}, {})
    assert at(10, {"a": BAD}, third).stand_ins == {"a": 12}


def test_missing_name_is_waited_for() -> None:
    """A name that vanished is waited for, for its own time."""
    second = at(1, {}, at(0, {"a": GOOD}, None))
    assert (second.items, second.stand_ins) == ({"a": GOOD}, {"a": 1.5})
    assert at(1.5, {}, second).items == {}


def test_no_wait_where_none_is_asked_for() -> None:
    """In a volume a missing name is gone at once."""
    first = at(0, {"a": GOOD}, None)
    assert believe({}, first.last_good, 1, bad_for=2, gone_for=0).items == {}


def test_clock_that_was_set_back() -> None:
    """A clock that goes back starts the wait again from there; it never lasts until the clock is back."""
    second = at(1000, {"a": BAD}, at(999, {"a": GOOD}, None))
    third = at(10, {"a": BAD}, second)
    assert third.stand_ins == {"a": 12}
    assert at(12, {"a": BAD}, third).items == {"a": BAD}


def test_file_that_never_was_good() -> None:
    """Nothing stands in for a file that never was good."""
    assert at(0, {"a": BAD}, None).items == {"a": BAD}


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from([GOOD, NEW, BAD, None])), min_size=1))
def test_random_histories(history: list[tuple[float, Seen | None]]) -> None:
    """Good content shows at once; a stand-in is the last good content, and never older than its wait."""
    now = 0.0
    memory: Believed[Seen] | None = None
    last_good: Seen | None = None
    faulty_since: float | None = None
    for pause, content in history:
        now += pause
        believed_files = at(now, {} if content is None else {"a": content}, memory)
        believed = believed_files.items.get("a")
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
        memory = believed_files
