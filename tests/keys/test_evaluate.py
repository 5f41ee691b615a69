"""Observation, last evaluation, time -> what becomes of each file and key."""

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import evaluated, key, public_pem, thumbprint

from jwks_server.errors import DirectoryUnreadable, PolicyInvalid
from jwks_server.keys.evaluate import GONE_SECONDS, LINT_SECONDS, evaluate
from jwks_server.keys.evaluation import Evaluation, Rules
from jwks_server.keys.keyset import KeyFile, read_file
from jwks_server.keys.observation import Observation
from jwks_server.keys.policy import KeyPolicy, Policy

A, B = (read_file(f"{name}.pem", public_pem(key("P-256", number)), None) for number, name in enumerate("ab"))
BAD = read_file("a.pem", b"-----BEGIN PUBLIC KEY-----\n", None)
KIDS = [thumbprint(key("P-256", number)) for number in range(2)]
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


def test_a_file_that_vanished_is_kept_for_a_moment() -> None:
    """A writer may delete a file before it writes it again; in a volume a file is gone at once."""
    first = after(Evaluation(), 100, seen(A, B))
    second = after(first, 110, seen(B))
    assert [(one.file, one.outcome, one.until, one.error) for one in second.verdicts] == [
        ("a.pem", "kept", 110 + GONE_SECONDS, None),
        ("b.pem", "published", None, None),
    ]
    assert outcomes(after(second, 110.03, seen(A, B))) == {"a.pem": ["published"], "b.pem": ["published"]}
    assert outcomes(after(second, 110.07, seen(B))) == {"b.pem": ["published"]}
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
    assert after(fourth, 500.07, gone).gone


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
    assert after(second, 110.07, seen(), alone=False).gone
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
