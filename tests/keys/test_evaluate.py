"""Observation, last evaluation, time -> what becomes of each file and key."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import evaluated, key, public_jwk, public_pem, thumbprint

from jwks_server.errors import DirectoryUnreadable, PolicyInvalid
from jwks_server.keys.changes import changes
from jwks_server.keys.decide import LINT_SECONDS
from jwks_server.keys.evaluate import GONE_SECONDS, REWRITTEN_SECONDS, evaluate
from jwks_server.keys.evaluation import Evaluation, Rules
from jwks_server.keys.keyset import KeyFile, read_file
from jwks_server.keys.lint import lint
from jwks_server.keys.observation import Observation
from jwks_server.keys.policy import KeyPolicy, Policy

A, B, C, D = (read_file(f"{name}.pem", public_pem(key("P-256", number)), None) for number, name in enumerate("abcd"))
BAD = read_file("a.pem", b"-----BEGIN PUBLIC KEY-----\n", None)
KIDS = [thumbprint(key("P-256", number)) for number in range(4)]
RULES = Rules(Policy(), grace=2)


def seen(*files: KeyFile, policy: bytes | PolicyInvalid | None = None, whole: bool = False) -> Observation:
    """Observe some files."""
    return Observation({file.name: file for file in files}, policy, whole)


def after(
    previous: Evaluation, now: float, observation: Observation | None, rules: Rules = RULES, *, alone: bool = True
) -> Evaluation:
    """Evaluate the next observation."""
    return evaluate(observation, previous, now, rules, place="keys", alone=alone)


def outcomes(evaluation: Evaluation) -> dict[str, list[str]]:
    """List each file's outcomes."""
    found: dict[str, list[str]] = {}
    for verdict in evaluation.verdicts:
        found.setdefault(verdict.file, []).append(verdict.outcome)
    return found


def test_a_file_that_turned_bad_is_kept_then_refused() -> None:
    """In its grace period the verdict is kept, until when, with the error; after it, refused."""
    first = after(Evaluation(), 100, seen(A, B))
    second = after(first, 110, seen(BAD, B))
    (kept, _) = second.verdicts
    assert (kept.outcome, kept.kids, kept.until, kept.error) == ("kept", (KIDS[0],), 112, BAD.error)
    assert second.keyset is first.keyset
    assert second.due == 112
    third = after(second, 112, seen(BAD, B))
    assert outcomes(third) == {"a.pem": ["refused"], "b.pem": ["published"]}
    assert third.keyset is not None
    assert [one.kid for one in third.keyset.keys] == [KIDS[1]]


OTHER_JSON = read_file("package.json", b'{"name": "no key"}', None)


def test_other_json_is_ignored() -> None:
    """It has no verdict and is no fault, and its reason is known; two looks at it decide nothing again."""
    first = after(Evaluation(), 100, seen(A, OTHER_JSON))
    assert outcomes(first) == {"a.pem": ["published"]}
    assert (first.faults, first.findings) == ({}, ())
    assert "neither a JWK nor a JWK Set" in first.ignored["package.json"]
    assert after(first, 101, seen(A, OTHER_JSON)) is first
    assert after(first, 102, seen(A)).keyset is first.keyset


@pytest.mark.parametrize(("name", "outcome"), [("a.json", None), ("a.jwk", "refused"), ("a.pem", "refused")])
def test_which_name_promises_a_key(name: str, outcome: str | None) -> None:
    """Only under a name that any JSON can have a file without a key is ignored."""
    for text in (b'{"a": 1}', b"[]", b"7", b'{"keys": []}', b'{"keys": [{"kty": "EC", "use": "x509-svid"}]}'):
        if text.startswith(b"{") or name != "a.pem":
            found = after(Evaluation(), 100, seen(B, read_file(name, text, None)))
            assert outcomes(found) == {"b.pem": ["published"]} | ({name: [outcome]} if outcome else {})
            assert list(found.ignored) == ([] if outcome else [name])


def test_a_folder_with_other_json_is_no_issuer() -> None:
    """Such a file makes no issuer, and holds the keys of none."""
    assert after(Evaluation(), 100, seen(OTHER_JSON), alone=False).gone
    alone = after(Evaluation(), 100, seen(OTHER_JSON))
    assert "(ignored: package.json)" in alone.faults["no-keys"].message


@pytest.mark.parametrize("text", [b"", b'{"keys": [', b'{"keys": []}', b"{}"])
def test_a_jwk_file_that_is_being_written_keeps_its_keys(text: bytes) -> None:
    """Empty, cut short, or without keys yet: the last good version counts in the grace period."""
    good = read_file("a.json", json.dumps({"keys": [public_jwk(key("P-256", 0), kid="k")]}).encode(), None)
    first = after(Evaluation(), 100, seen(good, B))
    second = after(first, 110, seen(read_file("a.json", text, None), B))
    assert outcomes(second) == {"a.json": ["kept"], "b.pem": ["published"]}
    assert second.keyset is first.keyset
    assert after(second, 111, seen(good, B)).keyset is first.keyset
    ended = after(second, 112, seen(read_file("a.json", text, None), B))
    assert ended.keyset is not None
    assert [one.kid for one in ended.keyset.keys] == [KIDS[1]]


def test_a_file_that_vanished_is_kept_for_a_moment() -> None:
    """A writer may delete a file before it writes it again; in a volume a file is gone at once."""
    first = after(Evaluation(), 100, seen(A, B))
    second = after(first, 110, seen(B))
    assert [(one.file, one.outcome, one.until, one.error) for one in second.verdicts] == [
        ("a.pem", "kept", 110 + GONE_SECONDS, None),
        ("b.pem", "published", None, None),
    ]
    assert outcomes(after(second, 110.03, seen(A, B))) == {"a.pem": ["published"], "b.pem": ["published"]}
    assert outcomes(after(second, 110 + GONE_SECONDS, seen(B))) == {"b.pem": ["published"]}
    assert outcomes(after(first, 110, seen(B, whole=True))) == {"b.pem": ["published"]}


def test_a_clock_that_was_set_back() -> None:
    """The grace period starts again at the earlier time; it doesn't last until the clock is back."""
    first = after(Evaluation(), 10_000, seen(A, B))
    second = after(first, 10_010, seen(BAD, B))
    third = after(second, 500, seen(BAD, B))
    assert third.verdicts[0].until == 502
    assert outcomes(after(third, 502, seen(BAD, B)))["a.pem"] == ["refused"]
    gone = Observation.nothing(whole=False)
    fourth = after(after(first, 10_010, gone), 500, gone)
    assert (fourth.gone, fourth.due) == (False, 500 + GONE_SECONDS)
    assert after(fourth, 500 + GONE_SECONDS, gone).gone


def test_keys_that_are_held() -> None:
    """If no file gives a key, those of the last set are kept, and say why; a bad file is refused as well."""
    first = after(Evaluation(), 100, seen(A))
    second = after(after(first, 110, seen(BAD)), 112, seen(BAD))
    assert [(one.outcome, one.kids, one.until, one.error) for one in second.verdicts] == [
        ("kept", (KIDS[0],), None, BAD.error),
        ("refused", (), None, BAD.error),
    ]
    assert list(second.faults) == ["no-keys"]
    assert second.served is not None
    assert [one.kid for one in second.served.keys] == [KIDS[0]]


def test_a_key_that_is_held_is_not_pending() -> None:
    """The last key stays in the set when its publish_at is moved into the future; it has one outcome, kept."""
    first = evaluated([A], Policy())
    second = evaluated([A], Policy(files={"a.pem": KeyPolicy(publish_at=50)}), first, 10)
    assert outcomes(second) == {"a.pem": ["kept"]}
    assert second.keyset is not None
    assert (second.keyset.held, second.keyset.pending, second.keyset.next_change) == (True, (), 50)


def test_what_is_remembered_is_held_after_a_restart() -> None:
    """After a restart without any key file the remembered set is held, as it would be without a restart."""
    remembered = after(Evaluation(), 100, seen(A)).keyset
    found = after(Evaluation(remembered), 200, seen())
    assert found.served is not None
    assert ([one.kid for one in found.served.keys], list(found.faults)) == ([KIDS[0]], ["no-keys"])
    assert outcomes(found) == {"a.pem": ["kept"]}
    nothing = after(Evaluation(), 200, seen())
    assert (nothing.served, nothing.verdicts, list(nothing.faults)) == (None, (), ["no-keys"])
    later = after(found, 300, seen(A))
    assert later.served is not None
    assert later.served.keys[0].first_published == 100


def test_a_wrong_policy() -> None:
    """Nothing is decided without a good policy; later the last good one stays, and the fault is told."""
    first = after(Evaluation(), 100, seen(A, policy=b"nonsense"))
    assert (first.keyset, first.verdicts, list(first.faults)) == (None, (), ["policy-invalid"])
    second = after(first, 110, seen(A, policy=b'kid = "filename"'))
    third = after(second, 120, seen(A, policy=b"nonsense"))
    assert second.keyset is not None
    assert (third.keyset, list(third.faults)) == (second.keyset, ["policy-invalid"])
    assert third.verdicts[0].kids == ("a",)


def test_a_folder_emptied_during_the_wait() -> None:
    """An issuer without a set stays while its last file is in its grace period, and then it is gone."""
    first = after(Evaluation(), 100, seen(A, policy=b"nonsense"), alone=False)
    second = after(first, 110, seen(), alone=False)
    assert (second.gone, second.due) == (False, 110 + GONE_SECONDS)
    assert after(second, 110 + GONE_SECONDS, seen(), alone=False).gone
    serving = after(Evaluation(), 100, seen(A), alone=False)
    emptied = after(after(serving, 110, seen(), alone=False), 111, seen(), alone=False)
    assert (emptied.gone, emptied.serves, outcomes(emptied)) == (False, True, {"a.pem": ["kept"]})


@pytest.mark.parametrize(("alone", "gone"), [(True, False), (False, True)])
def test_an_empty_folder(*, alone: bool, gone: bool) -> None:
    """A folder without keys is an issuer only if there is no other."""
    assert after(Evaluation(), 100, seen(), alone=alone).gone is gone


def test_a_directory_at_fault() -> None:
    """The last evaluation stays, with the fault, which ends with the next good observation."""
    first = after(Evaluation(), 100, seen(A))
    fault = DirectoryUnreadable("It can't be read.")
    second = evaluate(fault, first, 110, RULES, place="keys", alone=True)
    assert (second.keyset, second.verdicts, second.faults) == (first.keyset, first.verdicts, {fault.code: fault})
    assert after(second, 120, seen(A)).faults == {}


def test_nothing_new_is_not_decided_again() -> None:
    """Without a change, and before its time, an evaluation gives the same objects."""
    first = after(Evaluation(), 100, seen(A, B))
    second = after(first, 110, seen(A, B))
    assert second is first
    assert (second.decided_at, second.due) == (100, 100 + LINT_SECONDS)
    third = after(second, 100 + LINT_SECONDS, None)
    assert third.decided_at == 100 + LINT_SECONDS
    assert third.keyset is first.keyset


def test_due_follows_the_policy() -> None:
    """The next evaluation is due when a key's time comes."""
    first = after(Evaluation(), 100, seen(A, policy=b'[keys."a.pem"]\npublish_at = 1970-01-01T00:03:20Z'))
    assert outcomes(first) == {"a.pem": ["pending"]}
    assert first.due <= 200
    assert outcomes(after(first, 200, None)) == {"a.pem": ["published"]}


STATES = st.dictionaries(st.sampled_from(["a.pem", "b.pem"]), st.sampled_from([A, B, BAD]), max_size=2)


@given(st.lists(st.tuples(st.floats(0, 3), STATES, st.booleans()), min_size=1, max_size=12))
def test_random_histories(history: list[tuple[float, Mapping[str, KeyFile], bool]]) -> None:
    """Each key of the set and each pending key has exactly one verdict, and each file that is there has one."""
    now, evaluation = 100.0, Evaluation()
    for pause, files, whole in history:
        now += pause
        named = [KeyFile(name, file.keys, file.error) for name, file in files.items()]
        evaluation = after(evaluation, now, seen(*named, whole=whole))
        assert evaluation.due > now
        assert evaluation.keyset is not None
        told = [identity for verdict in evaluation.verdicts for identity in verdict.identities]
        served = evaluation.served.keys if evaluation.served else ()
        assert sorted(told) == sorted(one.identity for one in (*served, *evaluation.keyset.pending))
        assert {file.name for file in named} <= {verdict.file for verdict in evaluation.verdicts}
        assert evaluation.due < math.inf


def published(evaluation: Evaluation) -> list[str]:
    """List the kids of the published set."""
    return [] if evaluation.served is None else [one.kid for one in evaluation.served.keys]


def test_a_key_that_left_its_file_stays_until_the_file_is_quiet() -> None:
    """What is added is published at once; what is gone stays as kept, until when, and is withdrawn after that."""
    pair = KeyFile("b.pem", (*B.keys, *C.keys))
    first = after(Evaluation(), 100, seen(A, pair))
    second = after(first, 110, seen(A, KeyFile("b.pem", D.keys)))
    assert set(published(second)) == set(KIDS)
    assert [(one.outcome, set(one.kids), one.until) for one in second.verdicts[1:]] == [
        ("kept", set(KIDS[1:3]), 110 + REWRITTEN_SECONDS),
        ("published", {KIDS[3]}, None),
    ]
    assert second.due == 110 + REWRITTEN_SECONDS
    third = after(second, 110.5, seen(A, KeyFile("b.pem", (*D.keys, *B.keys))))
    assert set(published(third)) == set(KIDS)
    fourth = after(third, 110.5 + REWRITTEN_SECONDS, None)
    assert set(published(fourth)) == {KIDS[0], KIDS[1], KIDS[3]}


def test_two_names_that_are_exchanged_lose_no_key() -> None:
    """By way of a third name, one of the two is gone, and then the other one holds its key."""
    evaluation = after(Evaluation(), 100, seen(A, B))
    exchanged = KeyFile("a.pem", B.keys), KeyFile("b.pem", A.keys)
    for now, files in ((110, (B,)), (110.2, exchanged[:1]), (110.4, exchanged), (115, exchanged)):
        evaluation = after(evaluation, now, seen(*files))
        assert set(published(evaluation)) == set(KIDS[:2])
    assert outcomes(evaluation) == {"a.pem": ["published"], "b.pem": ["published"]}


def test_a_file_that_is_written_without_end_loses_its_keys_after_the_grace_period() -> None:
    """However often a file changes, a key that it does not hold stays for the grace period only."""
    evaluation = after(Evaluation(), 100, seen(A, B))
    for step in range(5):
        evaluation = after(evaluation, 110 + step / 2, seen(A, KeyFile("b.pem", (C, D)[step % 2].keys)))
        assert (KIDS[1] in published(evaluation)) is (step < 4)


def test_a_whole_swap_withdraws_at_once() -> None:
    """Where a folder changes as a whole nobody is writing."""
    first = after(Evaluation(), 100, seen(A, B))
    assert published(after(first, 110, seen(A, KeyFile("b.pem", C.keys), whole=True))) == [KIDS[0], KIDS[2]]


@pytest.mark.parametrize(
    "policy",
    [f'revoked = ["{KIDS[1]}"]', '[keys."b.pem"]\nremove_at = 1970-01-01T00:00:01Z'],
    ids=["revoked", "removed"],
)
def test_a_revoked_or_removed_key_never_stays_for_a_writer(policy: str) -> None:
    """A key that left its file is gone at once if the policy wants it gone."""
    first = after(Evaluation(), 100, seen(A, B))
    second = after(first, 110, seen(A, KeyFile("b.pem", C.keys)))
    assert KIDS[1] in published(second)
    assert KIDS[1] not in published(after(second, 110.1, seen(A, KeyFile("b.pem", C.keys), policy=policy.encode())))


def test_a_folder_that_keeps_changing_loses_no_file() -> None:
    """A missing file is gone when its folder has been quiet, and at the latest after the grace period."""
    evaluation = after(Evaluation(), 100, seen(A, B))
    for step in range(20):
        evaluation = after(evaluation, 110 + step / 10, seen(A, *((C,) if step % 2 else ())))
        assert KIDS[1] in published(evaluation)
    assert KIDS[1] not in published(after(evaluation, 112, seen(A, C)))


def test_a_folder_that_is_unsettled_loses_no_file() -> None:
    """What the observation says of a writer counts like a change."""
    first = after(Evaluation(), 100, seen(A, B))
    second = after(first, 110, seen(A))
    third = after(second, 110.2, replace(seen(A), unsettled=True))
    assert third.due == 110.2 + GONE_SECONDS
    assert published(after(third, 110.3, seen(A))) == KIDS[:2]
    assert published(after(third, 110.2 + GONE_SECONDS, seen(A))) == KIDS[:1]


def test_what_a_policy_tightens_holds_at_once_and_what_it_loosens_waits() -> None:
    """A revocation that is not written any more, a later remove_at and a wider allow wait for the grace period."""
    ed448 = read_file("e.pem", public_pem(key("Ed448")), None)
    files = (A, B, ed448)
    strict = f'revoked = ["{KIDS[0]}"]\n[keys."b.pem"]\nremove_at = 1970-01-01T00:00:01Z'.encode()
    loose = b'allow = ["Ed448"]\n[keys."b.pem"]\nremove_at = 1970-01-02T00:00:00Z'
    first = after(Evaluation(), 100, seen(*files, C, policy=strict))
    assert published(first) == [KIDS[2]]
    second = after(first, 110, seen(*files, C, policy=loose))
    assert (published(second), second.due) == ([KIDS[2]], 112)
    third = after(second, 111, seen(*files, C, policy=loose + b"\n"))
    assert (published(third), third.due) == ([KIDS[2]], 113)
    assert published(after(third, 112, seen(*files, C, policy=loose + b"\n"))) == [KIDS[2]]
    fourth = after(third, 113, seen(*files, C, policy=loose + b"\n"))
    assert len(published(fourth)) == 4
    assert published(after(fourth, 120, seen(*files, C, policy=strict))) == [KIDS[2]]


def test_a_revocation_holds_while_the_kids_are_renamed() -> None:
    """A revoked key does not come back because the file does not say yet how kids are made, or says it otherwise."""
    first = after(Evaluation(), 100, seen(A, B, policy=b'kid = "filename"\nrevoked = ["a"]'))
    assert published(first) == ["b"]
    second = after(first, 110, seen(A, B, policy=b'revoked = ["a"]'))
    assert published(second) == ["b"]
    third = after(first, 110, seen(A, B, C, policy=b'kid = "spki-sha256"\nrevoked = ["x"]\n[keys."b.pem"]\nkid = "x"'))
    assert published(third) == ["c"]


def test_an_unreadable_policy() -> None:
    """The policy that was there stays in force; one that can't be read at the start publishes nothing."""
    unreadable = PolicyInvalid("It can't be read.")
    at_start = after(Evaluation(), 100, seen(A, policy=unreadable))
    assert (at_start.keyset, list(at_start.faults)) == (None, ["policy-invalid"])
    missing = after(at_start, 101, seen(A))
    assert (missing.keyset, missing.due) == (None, 103)
    assert published(after(missing, 103, seen(A))) == [KIDS[0]]
    first = after(Evaluation(), 100, seen(A, B, policy=f'revoked = ["{KIDS[0]}"]'.encode()))
    second = after(first, 200, seen(A, B, policy=unreadable))
    assert (published(second), list(second.faults)) == ([KIDS[1]], ["policy-invalid"])
    third = after(second, 300, seen(A, B))
    assert published(third) == [KIDS[1]]
    assert published(after(third, 302, seen(A, B))) == KIDS[:2]


def test_a_revocation_that_lapses_is_a_finding() -> None:
    """It names each kid that is published again, until the key is revoked again."""
    policy = f'revoked = ["{KIDS[0]}"]'.encode()
    first = after(Evaluation(), 100, seen(A, B, policy=policy))
    second = after(after(first, 110, seen(A, B)), 112, seen(A, B))
    found = [one for one in lint(second, (), 112) if one.code == "revocation-lapsed"]
    assert [one.subject for one in found] == [KIDS[0]]
    third = after(second, 120, seen(A, B, policy=policy))
    assert not [one for one in lint(third, (), 120) if one.code == "revocation-lapsed"]


def test_a_first_publication_in_the_future_begins_now() -> None:
    """A state that was written by a faster clock says when a key was first published; it is a finding."""
    remembered = after(Evaluation(), 5000, seen(A)).keyset
    found = after(Evaluation(remembered), 100, seen(A))
    assert found.served is not None
    assert found.served.keys[0].first_published == 100
    assert [one.subject for one in lint(found, (), 100) if one.code == "clock-skew"] == [KIDS[0]]
    first = after(Evaluation(), 100, seen(A))
    assert not [one for one in lint(first, (), 100) if one.code == "clock-skew"]


def safe(evaluation: Evaluation) -> float:
    """Tell when the first key is safe to sign with, beyond the time for propagation."""
    assert evaluation.served is not None
    at = evaluation.served.keys[0].safe_to_sign_at
    assert at is not None
    return at - RULES.propagation


def test_safe_to_sign_at_counts_with_the_longest_max_age_that_a_cache_may_still_use() -> None:
    """A lower max-age shortens nothing for a key that older caches don't have; a later key waits for them too."""
    first = after(Evaluation(), 1000, seen(B, policy=b"max_age = 3600"))
    second = after(first, 1100, seen(A, B, policy=b"max_age = 3600"))
    assert safe(second) == 1100 + 3600
    third = after(second, 1200, seen(A, B, policy=b"max_age = 60"))
    assert safe(third) == 1100 + 3600
    late = after(after(first, 1050, seen(B, policy=b"max_age = 60")), 1100, seen(A, B, policy=b"max_age = 60"))
    assert safe(late) == 1050 + 3600
    afterwards = after(late, 10_000, seen(A, B, KeyFile("0.pem", C.keys), policy=b"max_age = 60"))
    assert safe(afterwards) == 10_000 + 60


@pytest.mark.parametrize("change", ['alg = "PS256"', 'use = "enc"'])
def test_safe_to_sign_at_starts_again_with_another_alg_or_use(change: str) -> None:
    """Verifiers that know the key know it under the old alg or use only."""
    rsa = read_file("a.pem", public_pem(key("RSA")), None)
    first = after(Evaluation(), 1000, seen(rsa))
    second = after(first, 2000, seen(rsa, policy=f'[keys."a.pem"]\n{change}'.encode()))
    assert (safe(first), safe(second)) == (1300, 2300)


def test_an_alias_that_is_another_keys_kid_changes_nothing() -> None:
    """The policy before stays in force with a fault that names the kid and both files; what it revokes holds."""
    first = after(Evaluation(), 100, seen(A, B, C))
    policy = f'revoked = ["{KIDS[2]}"]\n[keys."a.pem"]\naliases = ["{KIDS[1]}", "old"]'.encode()
    second = after(first, 110, seen(A, B, C, policy=policy))
    assert published(second) == KIDS[:2]
    message = second.faults["policy-invalid"].message
    assert all(part in message for part in (KIDS[1], "a.pem", "b.pem"))
    assert outcomes(second) == {"a.pem": ["published"], "b.pem": ["published"], "c.pem": ["revoked"]}


def test_an_alias_gives_way_to_the_key_whose_kid_it_is() -> None:
    """At the start, and when the key comes later, each key is published under its own kid; the fault says so."""
    policy = f'[keys."a.pem"]\naliases = ["{KIDS[1]}", "old"]'.encode()
    together = after(Evaluation(), 100, seen(A, B, policy=policy))
    later = after(after(Evaluation(), 100, seen(A, policy=policy)), 110, seen(A, B, policy=policy))
    for found in (together, later):
        assert found.served is not None
        assert {(one.kid, one.file) for one in found.served.keys} >= {(KIDS[1], "b.pem"), ("old", "a.pem")}
        assert list(found.faults) == ["policy-invalid"]


def test_an_alias_that_is_repeated_is_dropped() -> None:
    """A key's own kid among its aliases, or one of them twice, withdraws nothing."""
    policy = f'[keys."a.pem"]\naliases = ["{KIDS[0]}", "old", "old"]'.encode()
    found = after(Evaluation(), 100, seen(A, policy=policy))
    assert (sorted(published(found)), found.faults) == (sorted([KIDS[0], "old"]), {})


def test_a_revoked_key_keeps_no_kid_from_another() -> None:
    """The kid of a revoked key may be given to a good one."""
    policy = f'revoked = ["{KIDS[0]}"]\n[keys."a.pem"]\nkid = "same"\n[keys."b.pem"]\nkid = "same"'.encode()
    found = after(Evaluation(), 100, seen(A, B, policy=policy))
    assert outcomes(found) == {"a.pem": ["revoked"], "b.pem": ["published"]}
    assert (published(found), found.faults) == (["same"], {})


def test_a_kid_that_is_another_keys_changes_nothing() -> None:
    """A kid of jwks.toml never takes the place of a key that has it already."""
    first = after(Evaluation(), 100, seen(A, B))
    second = after(first, 110, seen(A, B, policy=f'[keys."a.pem"]\nkid = "{KIDS[1]}"'.encode()))
    assert (published(second), list(second.faults)) == (KIDS[:2], ["policy-invalid"])


def test_a_revoked_key_whose_file_is_gone_stays_revoked() -> None:
    """It is told for as long as the policy revokes it, and logged once, whatever is decided meanwhile."""
    revoking = f'revoked = ["{KIDS[0]}"]'.encode()
    first = after(Evaluation(), 100, seen(A, B, whole=True))
    second = after(first, 110, seen(B, policy=revoking, whole=True))
    third = after(second, 120, seen(B, C, policy=revoking, whole=True))
    assert [outcomes(one)["a.pem"] for one in (second, third)] == [["revoked"], ["revoked"]]
    assert [change.fields["file"] for change in changes(second, third)] == ["c.pem"]
    fourth = after(third, 130, seen(B, C, policy=b"# nothing is revoked", whole=True))
    assert "a.pem" not in outcomes(after(fourth, 140, seen(B, C, policy=b"# nothing is revoked", whole=True)))
