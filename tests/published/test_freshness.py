"""How long a cache may use a reply."""

import math
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import build, key, public_pem

from jwks_server.keys.keyset import KeySet, read_file
from jwks_server.keys.policy import Policy, parse
from jwks_server.published.freshness import STALE_IF_ERROR_SECONDS, Freshness, freshness

FILES = [read_file(f"{number}.pem", public_pem(key("P-256", number)), None) for number in range(2)]
CHANGE = 1_800_000_000.0


def said(fresh: Freshness, now: float) -> tuple[int, int]:
    """Read max-age and stale-if-error."""
    found = re.fullmatch(r"public, max-age=(\d+), stale-if-error=(\d+)", fresh.cache_control(now))
    assert found is not None
    return int(found[1]), int(found[2])


def changing(words: str) -> KeySet:
    """Make a set of which time changes a key at a known moment."""
    at = datetime.fromtimestamp(CHANGE, UTC).isoformat()
    return build(FILES, parse(f'[keys."1.pem"]\n{words} = {at}\n'.encode(), Policy()), None, CHANGE - 100_000)


@given(
    st.floats(CHANGE - 1000, CHANGE + 1000),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 400),
)
@example(CHANGE - 10, 1, 1, 0, 300)
def test_no_cache_uses_a_set_past_its_change(now: float, waits: float, travels: float, phase: float, age: int) -> None:
    """A reply is sent within a second and arrives within another; then even nginx, which counts long, lets go of it."""
    max_age, _ = said(Freshness(age, CHANGE), now)
    assert 0 <= max_age <= age
    arrives = now + waits + travels
    # nginx uses it as long as the whole seconds of its clock say that no more than max-age have passed.
    last_use = math.floor(arrives + phase) - phase + max_age + 1
    assert last_use <= CHANGE + 1e-6 or max_age == 0


def test_far_from_a_change() -> None:
    """Where no change is near, the policy's max-age is served."""
    assert said(Freshness(300, CHANGE), CHANGE - 5000) == (300, STALE_IF_ERROR_SECONDS)
    assert said(Freshness(77), CHANGE) == (77, STALE_IF_ERROR_SECONDS)


@pytest.mark.parametrize(("left", "expected"), [(303, 300), (302.9, 299), (4, 1), (3.9, 0), (0, 0), (-50, 0)])
def test_it_counts_down(left: float, expected: int) -> None:
    """Three seconds before the change nothing may be kept any more, and after it neither."""
    assert said(Freshness(300, CHANGE), CHANGE - left)[0] == expected


@given(st.floats(CHANGE - 90_000, CHANGE + 1000))
def test_no_removed_key_comes_back_while_the_server_fails(now: float) -> None:
    """What a cache may use while the server fails is over before a key is removed."""
    max_age, stale = said(Freshness(300, CHANGE, CHANGE), now)
    assert now + max_age + stale + 3 <= CHANGE or (max_age, stale) == (0, 0)


def test_a_new_key_does_not_end_what_holds_while_the_server_fails() -> None:
    """The keys of before are good after a publication too, and better than none."""
    assert said(freshness(changing("publish_at")), CHANGE - 4) == (1, STALE_IF_ERROR_SECONDS)
    assert said(freshness(changing("remove_at")), CHANGE - 5) == (2, 0)


def test_a_set_that_is_held_has_no_removal() -> None:
    """The keys of a set that is held stay beyond their time, so that nothing ends then."""
    keyset = changing("remove_at")
    assert freshness(keyset) == Freshness(300, CHANGE, CHANGE)
    assert freshness(replace(keyset, held=True, next_change=None)) == Freshness(300)
