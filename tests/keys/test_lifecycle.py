"""(files, policy, previous, now) -> pending, published, retiring, gone."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import build, evaluated, key, public_pem

from jwks_server.keys.changes import changes
from jwks_server.keys.keyset import KeyFile, KeySet, read_file
from jwks_server.keys.policy import KeyPolicy, Policy
from jwks_server.source.state import StateFile

# Four keys, each with its thumbprint as kid.
FILES = [read_file("x", public_pem(key("P-256", number)), None) for number in range(4)]
KIDS = [file.keys[0].thumbprint for file in FILES]
RETAIN = Policy(retain=100)


def files(*named: tuple[str, int]) -> list[KeyFile]:
    """Put keys into files."""
    return [replace(FILES[number], name=name) for name, number in named]


def kids(keyset: KeySet) -> dict[str, str]:
    """List the published kids with their states."""
    return {one.kid: one.state for one in keyset.keys}


def test_vanished_key_is_retained() -> None:
    """With retain, a key whose file is gone is retiring for that long, then gone."""
    first = build(files(("a", 0), ("b", 1)), RETAIN, None, 0)
    second = build(files(("b", 1)), RETAIN, first, 10)
    assert kids(second) == {KIDS[0]: "retiring", KIDS[1]: "published"}
    assert second.next_change == 110
    assert kids(build(files(("b", 1)), RETAIN, second, 109)) == kids(second)
    assert kids(build(files(("b", 1)), RETAIN, second, 110)) == {KIDS[1]: "published"}


def test_replaced_key_is_retained() -> None:
    """So is the key of a file that was replaced by another one."""
    second = build(files(("a", 1)), RETAIN, build(files(("a", 0)), RETAIN, None, 0), 10)
    assert kids(second) == {KIDS[0]: "retiring", KIDS[1]: "published"}


def test_without_retain_a_key_goes_at_once() -> None:
    """By default a key is gone with its file."""
    second = build(files(("b", 1)), Policy(), build(files(("a", 0), ("b", 1)), Policy(), None, 0), 10)
    assert kids(second) == {KIDS[1]: "published"}


def test_key_that_comes_back() -> None:
    """A retiring key whose file is back is published again, first published when it was."""
    first = build(files(("a", 0), ("b", 1)), RETAIN, None, 5)
    third = build(files(("a", 0), ("b", 1)), RETAIN, build(files(("b", 1)), RETAIN, first, 10), 20)
    assert kids(third) == {KIDS[0]: "published", KIDS[1]: "published"}
    assert {one.first_published for one in third.keys} == {5}
    assert third.next_change is None


def test_renamed_file_with_filename_kids() -> None:
    """A kid that no file stands for any more is retained, though its key goes on under another one."""
    policy = Policy(kid="filename", retain=100)
    second = build(files(("b.pem", 0)), policy, build(files(("a.pem", 0)), policy, None, 0), 10)
    assert kids(second) == {"a": "retiring", "b": "published"}


def test_new_key_under_a_retained_kid() -> None:
    """A kid can only name one key, and the declared one has it."""
    policy = Policy(kid="filename", retain=100)
    second = build(files(("a.pem", 1)), policy, build(files(("a.pem", 0)), policy, None, 0), 10)
    assert kids(second) == {"a": "published"}
    assert second.keys[0].public.thumbprint == KIDS[1]


def test_publish_at() -> None:
    """A key is pending until its time; then it is published by time alone."""
    policy = Policy(files={"a": KeyPolicy(publish_at=50)})
    before = evaluated(files(("a", 0), ("b", 1)), policy, None, 10)
    first = before.keyset
    assert first is not None
    assert kids(first) == {KIDS[1]: "published"}
    assert [(one.kid, one.state) for one in first.pending] == [(KIDS[0], "pending")]
    assert first.next_change == 50
    after = evaluated(files(("a", 0), ("b", 1)), policy, before, 50)
    second = after.keyset
    assert second is not None
    assert kids(second) == {KIDS[0]: "published", KIDS[1]: "published"}
    published = {one.kid: one for one in second.keys}[KIDS[0]]
    assert (published.first_published, published.safe_to_sign_at) == (50, 50 + 300 + 900)
    assert [change.event for change in changes(before, after)] == ["key-published"]


def test_remove_at() -> None:
    """A key leaves at its time, its file there or not, retained or not."""
    policy = Policy(retain=100, files={"a": KeyPolicy(remove_at=50)})
    first = build(files(("a", 0), ("b", 1)), policy, None, 10)
    assert first.next_change == 50
    assert kids(build(files(("a", 0), ("b", 1)), policy, first, 50)) == {KIDS[1]: "published"}
    vanished = build(files(("b", 1)), policy, first, 20)
    assert {one.kid: one.retires_at for one in vanished.keys} == {KIDS[0]: 50, KIDS[1]: None}
    assert kids(build(files(("b", 1)), policy, vanished, 50)) == {KIDS[1]: "published"}


def test_revoked_wins_over_everything() -> None:
    """A revoked key is dropped at once: retained, aliased, or the last one."""
    aliased = Policy(retain=100, files={"a": KeyPolicy(aliases=("other",))})
    first = build(files(("a", 0)), aliased, None, 0)
    assert kids(first) == {KIDS[0]: "published", "other": "published"}
    for kid in ("other", KIDS[0]):
        revoked = build(files(("a", 0)), replace(aliased, revoked=frozenset({kid})), first, 10)
        assert (revoked.keys, revoked.held) == ((), False)
    retiring = build(files(("b", 1)), RETAIN, first, 10)
    revoked = build(files(("b", 1)), replace(RETAIN, revoked=frozenset({KIDS[0]})), retiring, 20)
    assert kids(revoked) == {KIDS[1]: "published"}


def test_revoked_key_stays_revoked_under_another_kid() -> None:
    """A kid that a published key had revokes it for as long as it is listed, whatever its kid is later."""
    named = [KeyPolicy(kid=kid) for kid in ("old", "new")]
    both = files(("a", 0), ("b", 1))
    first = build(both, Policy(files={"a": named[0]}), None, 0)
    assert kids(first) == {"old": "published", KIDS[1]: "published"}
    policy = Policy(files={"a": named[1]}, revoked=frozenset({"old"}))
    found = evaluated(both, policy, first, 10)
    for now in (20, 30):
        assert found.served is not None
        assert kids(found.served) == {KIDS[1]: "published"}
        assert [(one.file, one.outcome, one.kids) for one in found.verdicts if one.outcome == "revoked"] == [
            ("a", "revoked", kid) for kid in ((("new", "old"), ("new",))[now > 20],)
        ]
        found = evaluated(both, policy, found.keyset, now)
    again = build(both, replace(policy, revoked=frozenset()), found.keyset, 40)
    assert kids(again) == {"new": "published", KIDS[1]: "published"}


def test_revoked_while_the_rest_is_held() -> None:
    """Where the files give nothing, what is held back never includes a revoked key."""
    first = build(files(("a", 0), ("b", 1)), Policy(), None, 0)
    second = build([], Policy(revoked=frozenset({KIDS[0]})), first, 10)
    assert (kids(second), second.held) == ({KIDS[1]: "published"}, True)


def test_last_key_is_held() -> None:
    """A set that would be empty is held back, unless empty sets are allowed."""
    first = build(files(("a", 0)), Policy(), None, 0)
    held = build([], Policy(), first, 10)
    assert (held.held, held.keys) == (True, first.keys)
    assert build([], Policy(allow_empty=True), first, 10).keys == ()
    expired = build(files(("a", 0)), Policy(files={"a": KeyPolicy(remove_at=5)}), first, 10)
    assert (expired.held, kids(expired)) == (True, {KIDS[0]: "published"})


def test_policy_that_refuses_a_published_key_is_obeyed_at_once() -> None:
    """A key that is no longer allowed is not retained: its file is there, and was decided about."""
    both = [read_file("a", public_pem(key("Ed448")), None), *files(("b", 1))]
    first = build(both, Policy(retain=100, allow=frozenset({"Ed448"})), None, 0)
    assert len(first.keys) == 2
    assert kids(build(both, RETAIN, first, 10)) == {KIDS[1]: "published"}


def test_per_file_alg_use_and_kid() -> None:
    """A file's own alg, use and kid are published; a pair that its kind doesn't have is refused."""
    rsa = read_file("rsa", public_pem(key("RSA")), None)
    policy = Policy(
        files={"rsa": KeyPolicy(alg="PS384", kid="mine"), "ec": KeyPolicy(use="enc"), "x": KeyPolicy(alg="RS256")}
    )
    found = evaluated([rsa, *files(("ec", 1), ("x", 0))], policy)
    keyset = found.keyset
    assert keyset is not None
    assert [(one.kid, one.alg, one.use) for one in keyset.keys[:1]] == [("mine", "PS384", "sig")]
    assert [(one.alg, one.use) for one in keyset.keys[1:]] == [("ECDH-ES", "enc")]
    assert [(one.file, one.error.code) for one in found.verdicts if one.error] == [("x", "alg-mismatch")]


@pytest.mark.parametrize(
    "said", [{}, {"x25519": KeyPolicy(use="enc")}, {"x25519": KeyPolicy(use="enc", alg="ECDH-ES")}]
)
def test_x25519_is_never_published(said: dict[str, KeyPolicy]) -> None:
    """An X25519 key is refused whatever jwks.toml says, since some clients drop the whole set for one."""
    x25519 = read_file("x25519", public_pem(key("X25519")), None)
    found = evaluated([x25519, *files(("a", 0))], Policy(files=said))
    assert [(one.file, one.error.code) for one in found.verdicts if one.error] == [("x25519", "kind-unsupported")]
    assert found.keyset is not None
    assert kids(found.keyset) == {KIDS[0]: "published"}


def test_x5c_can_be_left_out() -> None:
    """Without x5c the certificate stays out of the set, at once and again."""
    from support import certificate_pem, certify

    file = read_file("a", certificate_pem(certify(key("P-256"))), None)
    with_x5c = build([file], Policy())
    without = build([file], Policy(x5c=False), with_x5c, 10)
    assert b"x5c" in with_x5c.body
    assert b'"x5' not in without.body
    assert b"x5c" in build([file], Policy(), without, 20).body


@dataclass
class Model:
    """The rules, written down a second time: what is published, from the history alone."""

    first: dict[int, float] = field(default_factory=dict)
    since: dict[int, float] = field(default_factory=dict)
    held_since: dict[int, float] = field(default_factory=dict)
    owner: dict[int, str] = field(default_factory=dict)

    def step(self, now: float, names: Mapping[str, int], policy: Policy) -> tuple[set[int], bool]:  # noqa: C901 - rules
        """Tell which keys are published after a step, and whether they are held."""
        before = set(self.first)
        revoked = {number for number in range(4) if KIDS[number] in policy.revoked}
        owners: dict[int, str] = {}
        for name in sorted(names):
            owners.setdefault(names[name], name)
        declared = {number: policy.of(name) for number, name in owners.items()}
        published = set()
        for number in range(4):
            if number in revoked:
                continue
            if number in declared:
                said = declared[number]
                if (said.publish_at is None or said.publish_at <= now) and (
                    said.remove_at is None or now < said.remove_at
                ):
                    published.add(number)
                    self.since.pop(number, None)
                    self.owner[number] = owners[number]
            elif number in before:
                since = self.since.setdefault(number, now)
                remove_at = policy.of(self.owner[number]).remove_at
                if now < since + policy.retain and (remove_at is None or now < remove_at):
                    published.add(number)
        kept = before - revoked
        dropped_by_revocation = bool(before & revoked or set(declared) & revoked)
        held = not published and not policy.allow_empty and (bool(kept) or not dropped_by_revocation)
        if held:
            # While held, nothing starts or goes on retiring.
            self.since = {number: since for number, since in self.since.items() if number in self.held_since}
            published = kept
        for number in before - published:
            del self.first[number]
            self.since.pop(number, None)
        for number in published:
            self.first.setdefault(number, now)
        self.held_since = dict(self.since)
        return published, held


TIMES = st.one_of(st.none(), st.integers(0, 60).map(float))
POLICIES = st.builds(
    Policy,
    retain=st.sampled_from([0, 0, 5, 30]),
    allow_empty=st.booleans(),
    revoked=st.sets(st.sampled_from(KIDS), max_size=1).map(frozenset),
    files=st.dictionaries(st.sampled_from("ab"), st.builds(KeyPolicy, publish_at=TIMES, remove_at=TIMES), max_size=2),
)
STEPS = st.lists(
    st.tuples(
        st.integers(0, 12).map(float),
        st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), max_size=3),
        POLICIES,
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=300)
@given(STEPS)
def test_random_histories(steps: list[tuple[float, dict[str, int], Policy, bool]]) -> None:
    """Over any history of files, policies, times and restarts the set is exactly what the rules say."""
    model, keyset, now = Model(), None, 0.0
    with tempfile.TemporaryDirectory() as folder:
        state = StateFile(Path(folder) / "state.json")
        for pause, names, policy, restart in steps:
            now += pause
            if restart and keyset:
                state.save({"/": keyset})
                keyset = state.load()["/"]
            keyset = build(files(*names.items()), policy, keyset, now)
            expected, held = model.step(now, names, policy)
            assert {one.kid for one in keyset.keys} == {KIDS[number] for number in expected}
            assert keyset.held == held
            assert {KIDS.index(one.kid): one.first_published for one in keyset.keys} == model.first
            assert not {one.kid for one in keyset.keys} & policy.revoked
            assert keyset.next_change is None or keyset.next_change > now
