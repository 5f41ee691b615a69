"""What the state file says about max-ages."""

import json
from pathlib import Path

import pytest

from jwks_server.errors import StateDamaged
from jwks_server.keys.keyset import KeySet, Lifetime
from jwks_server.keys.policy import Policy
from jwks_server.source.state import StateFile


def test_the_longest_max_age_outlives_a_restart(tmp_path: Path) -> None:
    """The current max-age and the longer ones before it come back by the issuer's path."""
    keyset = KeySet((), Policy(max_age=60), lifetimes=(Lifetime(3600, 1_800_000_000.5),))
    StateFile(tmp_path / "state").save({"/": keyset, "/a": KeySet((), Policy(max_age=7))})
    found = StateFile(tmp_path / "state").load()
    assert (found["/"].policy.max_age, found["/"].lifetimes) == (60, keyset.lifetimes)
    assert (found["/a"].policy.max_age, found["/a"].lifetimes) == (7, ())


def test_a_state_without_max_ages(tmp_path: Path) -> None:
    """A file of an earlier program can be read; it says nothing about caches."""
    (tmp_path / "state").write_text('{"version": 2, "issuers": {"/": []}}')
    found = StateFile(tmp_path / "state").load()
    assert (found["/"].policy.max_age, found["/"].lifetimes) == (0, ())


@pytest.mark.parametrize(
    "entry",
    [5, {}, {"max_age": -1, "before": []}, {"max_age": 5, "before": [[5]]}, {"max_age": 5, "before": [[5, 1e300]]}],
)
def test_damaged_max_ages(tmp_path: Path, entry: object) -> None:
    """They are damage like any other."""
    (tmp_path / "state").write_text(json.dumps({"version": 2, "issuers": {"/": []}, "max_ages": {"/": entry}}))
    with pytest.raises(StateDamaged):
        StateFile(tmp_path / "state").load()
