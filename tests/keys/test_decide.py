"""What is decided about a part of the files is the same as if all were decided about."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import key, public_jwk, public_pem, thumbprint

from jwks_server.keys import decide
from jwks_server.keys.assign import Assignment, assign
from jwks_server.keys.changes import changes
from jwks_server.keys.evaluate import evaluate
from jwks_server.keys.evaluation import Evaluation, Rules
from jwks_server.keys.keyset import KeyFile, read_file
from jwks_server.keys.lint import lint
from jwks_server.keys.observation import Observation
from jwks_server.keys.policy import Policy

NAMES = ("a.pem", "b.pem", "c.pem", "d.pem", "a.crt", "a.jwk", "b.json", "c.json")
KEYS = (*(key("P-256", number) for number in range(4)), key("Ed25519", 0))
PEMS = [public_pem(one) for one in KEYS]
KIDS = [thumbprint(one) for one in KEYS]
# JWKs with the kids that jwks.toml gives too, one with another key's thumbprint, and the same key under another kid.
JWKS: Sequence[Sequence[Mapping[str, object]]] = (
    [public_jwk(KEYS[0], kid="x")],
    [public_jwk(KEYS[1], kid="x"), public_jwk(KEYS[2], use="enc")],
    [public_jwk(KEYS[3], kid=KIDS[0])],
    [public_jwk(KEYS[4], kid="a"), public_jwk(KEYS[1], kid="y", alg="ES256")],
    [],
)
# What a file may hold: keys that another file has too, two keys, and no key at all.
CONTENTS = (
    *PEMS,
    *(PEMS[0] + PEMS[1], PEMS[2] + PEMS[3], b"-----BEGIN PUBLIC KEY-----\n"),
    *(json.dumps({"keys": keys}).encode() for keys in JWKS),
    b'{"name": "no key"}',
)
FILES = {(name, at): read_file(name, data, None) for name in NAMES for at, data in enumerate(CONTENTS)}
POLICIES = (
    "",
    "# the same\n",
    'kid = "filename"\n',
    "retain = 50\n",
    'kid = "filename"\nretain = 5\n',
    "max_age = 10\n",
    "allow_empty = true\n",
    f'revoked = ["{KIDS[0]}"]\n',
    f'retain = 50\nrevoked = ["{KIDS[1]}", "nobody"]\n',
    f'[keys."a.pem"]\nkid = "x"\naliases = ["y", "{KIDS[1]}"]\n[keys."b.pem"]\nkid = "y"\n',
    '[keys."a.pem"]\nkid = "x"\n[keys."b.pem"]\nkid = "x"\n[keys."c.pem"]\naliases = ["x", "z"]\n',
    'revoked = ["z"]\n[keys."c.pem"]\naliases = ["z"]\n',
    '[keys."a.pem"]\npublish_at = 1970-01-01T00:18:20Z\n[keys."b.pem"]\nremove_at = 1970-01-01T00:18:21Z\n',
    "retain = 50\nthis is not TOML\n",
)
CHANGES = st.tuples(st.sampled_from(NAMES), st.one_of(st.none(), st.integers(0, len(CONTENTS) - 1)))
STEPS = st.tuples(
    st.lists(CHANGES, max_size=3),
    st.one_of(st.none(), st.none(), st.sampled_from(POLICIES)),
    st.sampled_from((0.0, 0.1, 0.3, 1.1, 3.0, 40.0, 4000.0, -2.0)),
    st.booleans(),
)
Step = tuple[Sequence[tuple[str, int | None]], str | None, float, bool]
# The first JWK with the kid x, then another key with it, then the first one goes.
FIRST_JWK = len(CONTENTS) - len(JWKS) - 1
ONE_KID: Sequence[Step] = (
    ([("a.jwk", FIRST_JWK), ("d.pem", 4)], None, 0.0, True),
    ([("b.json", FIRST_JWK + 1)], None, 1.0, True),
    ([("a.jwk", None)], None, 1.0, True),
)


def history(steps: Sequence[Step]) -> Sequence[tuple[Observation, float]]:
    """Make the observations of a folder in which these changes happen one after the other."""
    files: dict[str, KeyFile] = {}
    text, now, observations = "", 1000.0, []
    for changed, policy, passed, whole in steps:
        for name, at in changed:
            files.pop(name, None)
            files |= {} if at is None else {name: FILES[name, at]}
        text = text if policy is None else policy
        now += passed
        seen = {name: files[name] for name in sorted(files)}
        observations.append((Observation(seen, text.encode() or None, whole), now))
    return observations


def after(seen: Observation, previous: Evaluation, now: float) -> Evaluation:
    """Evaluate the next observation."""
    return evaluate(seen, previous, now, Rules(), place="keys", alone=True)


def everything(evaluation: Evaluation) -> Mapping[str, object]:
    """Return all that was decided, with the bytes that are published."""
    names = (one for one in Evaluation.__dataclass_fields__ if one != "faults")
    faults = {code: error.message for code, error in evaluation.faults.items()}
    body = evaluation.served.body if evaluation.served else b""
    return {name: getattr(evaluation, name) for name in names} | {"faults": faults, "body": body}


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide, "SMALL", 0)


@given(st.lists(STEPS, min_size=2, max_size=8))
@example(ONE_KID)
@settings(max_examples=300)
def test_any_history_gives_what_a_decision_about_all_files_gives(steps: Sequence[Step]) -> None:
    """After each change, what was decided, published, found and logged is the same, to the byte."""
    previous = Evaluation()
    for seen, now in history(steps):
        whole = after(seen, replace(previous, index=None), now)
        part = after(seen, previous, now)
        undecided = part.decided_at == previous.decided_at and whole.index is None  # then it has none to compare
        assert everything(replace(part, index=None) if undecided else part) == everything(whole)
        assert list(changes(previous, part)) == list(changes(previous, whole))
        assert lint(part, (), now) == lint(whole, (), now)
        previous = part


def test_only_what_changed_is_decided_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more file leaves the files alone that share nothing with it, and looks at those that share a key or a kid."""
    seen, now = history([([("a.pem", 0), ("b.pem", 1), ("c.pem", 2), ("d.pem", 2)], None, 0.0, True)])[0]
    first = after(seen, Evaluation(), now)
    looked_at: list[list[str]] = []

    def observed(files: Sequence[KeyFile], policy: Policy) -> Assignment:
        looked_at.append([one.name for one in files])
        return assign(files, policy)

    monkeypatch.setattr(decide, "assign", observed)
    more = replace(seen, files={**seen.files, "a.crt": FILES["a.crt", 4]})
    second = after(more, first, now + 1)
    after(replace(more, files={**more.files, "d.pem": FILES["d.pem", 3]}), second, now + 2)
    assert looked_at == [["a.crt"], ["c.pem", "d.pem"]]
