"""What a key set is: its bytes, and how long a cache may keep them."""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import PASSPHRASE, build, key, private_pem, public_pem, unb64

from jwks_server import errors
from jwks_server.keys.keyset import KeySet, read_file
from jwks_server.keys.policy import Policy, parse

FILES = [read_file(f"{number}.pem", public_pem(key("P-256", number)), None) for number in range(2)]
CHANGE = 1_800_000_000.0


def changing(max_age: int = 300) -> KeySet:
    """Make a set that time changes at a known moment."""
    at = datetime.fromtimestamp(CHANGE, UTC).isoformat()
    policy = parse(f'[keys."1.pem"]\nremove_at = {at}\n'.encode(), Policy(max_age=max_age))
    return build(FILES, policy, None, CHANGE - 10_000)


@given(st.floats(CHANGE - 1000, CHANGE + 1000))
def test_no_cache_keeps_a_set_past_its_change(now: float) -> None:
    """The time that a cache may keep a set is never negative, and ends before time changes the set."""
    age = changing().max_age(now)
    assert 0 <= age <= 300
    assert now + age < CHANGE or age == 0


def test_cache_time_far_from_a_change() -> None:
    """Far from a change, and where none is known, it is what the operator decided."""
    assert changing().max_age(CHANGE - 5000) == 300
    assert changing(60).max_age(CHANGE - 5000) == 60
    assert build(FILES, Policy(max_age=77)).max_age(CHANGE) == 77
    assert build(FILES, Policy()).max_age_until(CHANGE) is None


@given(st.floats(CHANGE - 1000, CHANGE - 0.001))
def test_when_the_cache_time_changes(now: float) -> None:
    """Until the moment that is told, the cache time is the same; then it is shorter, or the set has changed."""
    keyset = changing()
    until = keyset.max_age_until(now)
    assert until is not None
    assert now <= until <= CHANGE
    if until - now > 0.01:
        assert keyset.max_age(until - 0.005) == keyset.max_age(now)
    assert keyset.max_age(until + 0.005) < keyset.max_age(now) or until == CHANGE


def test_digest_is_that_of_the_body() -> None:
    """The digest that replicas are compared by is the SHA-256 of exactly the bytes that are served."""
    keyset = build(FILES, Policy())
    assert unb64(keyset.digest) == hashlib.sha256(keyset.body).digest()
    assert len(json.loads(keyset.body)["keys"]) == 2
    assert build([], Policy()).body == b'{"keys":[]}'


def test_file_that_is_no_key() -> None:
    """Whatever is wrong with a file's bytes is the file's error, and it gives no key."""
    file = read_file("a.pem", b"no key", None)
    assert (file.good, file.keys) == (False, ())
    assert isinstance(file.error, errors.PemMissing)


@pytest.mark.parametrize(("passphrase", "error"), [(None, errors.PassphraseMissing), (b"x", errors.PassphraseWrong)])
def test_passphrase(passphrase: bytes | None, error: type[errors.KeyFileError]) -> None:
    """An encrypted key is read with its passphrase, and with no other."""
    data = private_pem(key("P-256"), encrypted=True)
    assert read_file("a.pem", data, PASSPHRASE).keys[0].private
    assert isinstance(read_file("a.pem", data, passphrase).error, error)
