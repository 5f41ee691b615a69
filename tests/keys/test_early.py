"""When whatever is signed now is signed too early."""

import pytest
from support import evaluated, key, public_pem

from jwks_server.keys.early import too_early_until
from jwks_server.keys.evaluation import Evaluation
from jwks_server.keys.keyset import KeySet, read_file
from jwks_server.keys.policy import KeyPolicy, Policy

SAFE_AFTER = 300 + 900
FILES = [read_file(f"{name}.pem", public_pem(key("P-256", number)), None) for number, name in enumerate("abc")]


def story(*steps: tuple[float, str], policy: Policy | None = None, before: Evaluation | None = None) -> float | None:
    """Evaluate one folder after the other, each at its time, and tell what the last gives."""
    last, known = before or Evaluation(), None
    for now, names in steps:
        one = evaluated([file for file in FILES if file.name[0] in names], policy or Policy(), last, now)
        known = too_early_until(last.served, one.served, known, now)
        last = one
    return known


@pytest.mark.parametrize(
    ("steps", "until"),
    [
        ([(0, "a"), (2000, "b")], 2000 + SAFE_AFTER),
        ([(0, "a"), (2000, "b"), (2100, "b")], 2000 + SAFE_AFTER),
        ([(0, "a"), (2000, "b"), (2100, "ab")], 2000 + SAFE_AFTER),
        ([(0, "a"), (2000, "ab"), (2300, "b")], 2000 + SAFE_AFTER),
        ([(0, "a"), (10, "b")], 10 + SAFE_AFTER),
        ([(0, "a"), (2000, "b"), (2000 + SAFE_AFTER, "b")], None),
        ([(0, "a")], None),
        ([(0, "a"), (10, "ab")], None),
        ([(0, "ab"), (10, "b")], None),
        ([(0, "a"), (2000, "ab")], None),
        ([(0, "a"), (2000, "ab"), (2000 + SAFE_AFTER, "b")], None),
        ([(0, "a"), (2000, "b"), (2100, "")], None),
    ],
)
def test_replaced_in_one_step(steps: list[tuple[float, str]], until: float | None) -> None:
    """It is too early after all keys were replaced, until one is safe; a new issuer and a slow rotation are quiet."""
    assert story(*steps, policy=Policy(allow_empty=True)) == until


def test_keys_for_encryption_do_not_count() -> None:
    """A new key for encryption is not signed with."""
    policy = Policy(files={"b.pem": KeyPolicy(use="enc", alg="ECDH-ES")})
    assert story((0, "a"), (2000, "b"), policy=policy) is None


def test_planned_keys_do_not_count() -> None:
    """A pending key changes nothing; if the old key leaves when the new one comes, it is too early."""
    policy = Policy(files={"b.pem": KeyPolicy(publish_at=3000)})
    assert story((0, "a"), (2000, "ab"), (2500, "ab"), policy=policy) is None
    switch = Policy(files={"a.pem": KeyPolicy(remove_at=3000), "b.pem": KeyPolicy(publish_at=3000)})
    assert story((0, "ab"), (3000, "ab"), policy=switch) == 3000 + SAFE_AFTER


def test_a_start_is_quiet() -> None:
    """What a server finds when it starts was not replaced, as far as it can tell."""
    assert too_early_until(None, story_of("b").served, None, 0) is None
    assert too_early_until(None, KeySet((), Policy()), 5.0, 0) is None


def story_of(names: str) -> Evaluation:
    """Evaluate a folder for the first time."""
    return evaluated([file for file in FILES if file.name[0] in names], Policy())
