"""jwks.toml over time."""

from jwks_server.errors import PolicyInvalid
from jwks_server.keys.policy import Policy
from jwks_server.keys.policy_text import PolicyText, update

GOOD, BAD = b"max_age = 7", b"max_age = 'soon'"


def at(now: float, said: bytes | PolicyInvalid | None, previous: PolicyText) -> PolicyText:
    """Take in what was read, with a grace period of two seconds."""
    return update(said, previous, {}, Policy(), now, 2)


def test_the_last_good_policy_stays() -> None:
    """A wrong file changes no policy; a good one ends the fault."""
    first = at(0, GOOD, PolicyText())
    second = at(1, BAD, first)
    assert first.policy is not None
    assert (first.policy.max_age, first.fault) == (7, None)
    assert (second.policy, second.fault is None) == (first.policy, False)
    assert at(2, GOOD, second).policy == first.policy
    assert at(2, GOOD, second).fault is None


def test_an_empty_file_may_be_about_to_be_written() -> None:
    """It counts after its grace period, and so does a missing one."""
    first = at(0, GOOD, PolicyText())
    for said in (b"", b" \n", None):
        second = at(1, said, first)
        assert (second.policy, second.until) == (first.policy, 3)
        third = at(3, said, second)
        assert (third.policy, third.until) == (Policy(), None)


def test_a_file_that_can_not_be_read() -> None:
    """It is a fault; afterwards the fault of the text is told again, if it has one."""
    unreadable = PolicyInvalid("It can't be read.")
    second = at(1, BAD, PolicyText())
    third = at(2, unreadable, second)
    assert third.fault is unreadable
    assert at(3, BAD, third).fault == second.fault
