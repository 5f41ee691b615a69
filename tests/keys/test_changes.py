"""Two evaluations -> one log line for each difference."""

from dataclasses import replace

from support import certificate_pem, certify, evaluated, key, public_pem, thumbprint

from jwks_server.keys.changes import changes, new_findings
from jwks_server.keys.evaluate import evaluate
from jwks_server.keys.evaluation import Evaluation, Finding, Rules
from jwks_server.keys.keyset import KeyFile, read_file
from jwks_server.keys.observation import Observation
from jwks_server.keys.policy import KeyPolicy, Policy

A, B, C = (read_file(f"{name}.pem", public_pem(key("P-256", number)), None) for number, name in enumerate("abc"))
KIDS = [thumbprint(key("P-256", number)) for number in range(3)]
LATER = Policy(files={"a.pem": KeyPolicy(publish_at=50)})


def events(previous: Evaluation, current: Evaluation) -> list[tuple[str, str]]:
    """List what is logged, and of which file."""
    return [(one.event, one.fields["file"]) for one in changes(previous, current)]


def test_keys_that_come_and_go() -> None:
    """What came and went is told, with the alg; what stays is not."""
    bad = read_file("bad.pem", b"", None)
    first = evaluated([A, B, bad], Policy())
    assert events(Evaluation(), first) == [
        ("file-refused", "bad.pem"),
        ("key-published", "a.pem"),
        ("key-published", "b.pem"),
    ]
    second = evaluated([B, C, bad], Policy(), first, 10)
    assert [(one.event, one.fields["kid"], one.fields["alg"]) for one in changes(first, second)] == [
        ("key-withdrawn", KIDS[0], "ES256"),
        ("key-published", KIDS[2], "ES256"),
    ]
    assert events(second, evaluated([B, C, bad], Policy(), second, 20)) == []


def test_what_the_state_remembers_is_known() -> None:
    """After a restart, a key is known where the state has it in the same stage and with the same members."""
    state = Evaluation(evaluated([A, B], LATER).keyset)
    known = {one.fields["file"]: (one.event, one.known) for one in changes(state, evaluated([A, B, C], LATER, state))}
    assert known == {
        "a.pem": ("key-pending", True),
        "b.pem": ("key-published", True),
        "c.pem": ("key-published", False),
    }
    now = evaluated([A, B], LATER, state, 50)
    assert [(one.fields["file"], one.known) for one in changes(state, now)] == [("a.pem", False), ("b.pem", True)]
    other = Policy(files={**LATER.files, "b.pem": KeyPolicy(kid="other")})
    assert [one.known for one in changes(state, evaluated([A, B], other, state))] == [True, False]


def test_key_that_another_file_publishes_now() -> None:
    """A key whose publishing file changes is told with the new file: the log's last word is the file's outcome."""
    same = replace(A, name="z.pem")
    first = evaluated([A, same], Policy())
    assert events(Evaluation(), first) == [("file-duplicate", "z.pem"), ("key-published", "a.pem")]
    second = evaluated([same], Policy(), first, 10)
    assert events(first, second) == [("key-published", "z.pem")]
    assert events(second, evaluated([same], Policy(), second, 20)) == []


def test_a_pending_key_is_never_withdrawn() -> None:
    """A key that was in no set can't leave one: its end is not logged, its publication is."""
    first = evaluated([A, B], LATER)
    assert events(Evaluation(), first) == [("key-pending", "a.pem"), ("key-published", "b.pem")]
    assert events(first, evaluated([B], LATER, first, 10)) == []
    assert events(first, evaluated([A, B], LATER, first, 50)) == [("key-published", "a.pem")]


def test_named_by_what_happened() -> None:
    """A key that its policy removes or revokes is not called withdrawn, and one that retires is."""
    first = evaluated([A, B], Policy())
    removed = evaluated([A, B], Policy(files={"a.pem": KeyPolicy(remove_at=5)}), first, 10)
    (change,) = changes(first, removed)
    assert (change.event, change.fields["since"]) == ("key-removed", "1970-01-01T00:00:05.000Z")
    assert change.fields["alg"] == "ES256"
    revoked = Policy(revoked=frozenset({KIDS[0]}))
    assert events(first, evaluated([A, B], revoked, first, 10)) == [("key-revoked", "a.pem")]
    assert events(first, evaluated([B], revoked, first, 10)) == [("key-revoked", "a.pem")]
    retiring = evaluated([B], Policy(retain=60), first, 10)
    assert events(first, retiring) == [("key-retiring", "a.pem")]
    assert events(retiring, evaluated([B], Policy(retain=60), retiring, 70)) == [("key-withdrawn", "a.pem")]


def test_a_kid_that_changes_hands() -> None:
    """The old key's end comes first, so that the last line about a kid is right."""
    policy = Policy(kid="filename")
    first = evaluated([replace(A, name="k.pem")], policy)
    second = evaluated([replace(B, name="k.pem")], policy, first, 10)
    assert [one.event for one in changes(first, second)] == ["key-withdrawn", "key-published"]


def test_files() -> None:
    """A duplicate, a refused and a kept file are told once for each change; a recovery is not a new key."""

    def step(previous: Evaluation, now: float, *files: KeyFile) -> Evaluation:
        seen = Observation({file.name: file for file in files}, None, whole=False)
        return evaluate(seen, previous, now, Rules(), place="keys", alone=True)

    again, bad = replace(A, name="z.pem"), read_file("a.pem", b"", None)
    first = step(Evaluation(), 0, A, again)
    assert events(Evaluation(), first) == [("file-duplicate", "z.pem"), ("key-published", "a.pem")]
    kept = step(first, 10, bad, again)
    (change,) = changes(first, kept)
    assert bad.error is not None
    assert (change.event, dict(change.fields)) == (
        "file-kept",
        {"file": "a.pem", "until": "1970-01-01T00:00:12.000Z", "code": bad.error.code, "reason": bad.error.message},
    )
    assert events(kept, step(kept, 11, bad, again)) == []
    assert events(kept, step(kept, 11, A, again)) == []
    assert events(kept, step(kept, 12, bad, again)) == [("file-refused", "a.pem"), ("key-published", "z.pem")]


def test_the_end_of_a_certificate() -> None:
    """The field has the name that status, inspect and the metrics have for it."""
    found = evaluated([read_file("a.pem", certificate_pem(certify(key("RSA"))), None)], Policy())
    (change,) = changes(Evaluation(), found)
    assert change.fields["certificate_not_after"].endswith("Z")
    assert "not_after" not in change.fields


def test_an_issuer_that_is_gone() -> None:
    """Its keys are withdrawn, and then it is."""
    first = evaluated([A], Policy())
    last = evaluate(Observation.nothing(whole=True), first, 10, Rules(), place="keys", alone=False)
    assert [one.event for one in changes(first, last)] == ["key-withdrawn", "issuer-withdrawn"]


def test_findings() -> None:
    """A finding is told when it is new, and not again; nothing is told when it is over."""
    finding = Finding("no-rsa", "set", "No RSA key.")
    without, found = Evaluation(), Evaluation(findings=(finding,))
    (change,) = new_findings(without, found)
    assert (change.event, dict(change.fields)) == (
        "finding",
        {"code": "no-rsa", "subject": "set", "reason": "No RSA key."},
    )
    assert list(new_findings(found, found)) == list(new_findings(found, without)) == []
