"""A jwks.toml with very many entries."""

import sys
from types import FrameType

import pytest

from jwks_server.errors import PolicyInvalid
from jwks_server.keys.policy import Policy, parse
from jwks_server.keys.tighten import loosens, tightened


def entries(number: int) -> str:
    """Write a policy with an entry for each of many files."""
    return "".join(
        f'[keys."2026-{one:06}.pem"]\nkid = "kid-{one}"\npublish_at = 2026-11-24T08:00:00Z\n' for one in range(number)
    )


def steps(text: str) -> int:
    """Count the calls that reading a policy, and comparing it with itself, takes."""
    count = 0

    def profile(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        policy = parse(text.encode(), Policy())
        loosens(policy, policy, Policy())
        tightened(policy, policy, frozenset())
    except PolicyInvalid:
        pass
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("fault", ["", "alg = 5\n"], ids=["good", "fault-at-its-end"])
def test_time_grows_with_the_number_of_entries(fault: str) -> None:
    """20 times as many entries take 20 times as many steps, not 400 times, and the last line's fault is found."""
    small, large = entries(1000) + fault, entries(20_000) + fault
    assert len(small) > 64 * 1024
    assert steps(large) < 25 * steps(small)
    if fault:
        with pytest.raises(PolicyInvalid, match=r'line 60001: keys."2026-019999.pem".alg is not'):
            parse(large.encode(), Policy())
    else:
        assert len(parse(large.encode(), Policy()).files) == 20_000
