"""What became of each file and key, as a value and as JSON."""

from support import evaluated, key, public_pem, thumbprint

from jwks_server.errors import PemMissing
from jwks_server.keys.keyset import read_file
from jwks_server.keys.policy import KeyPolicy, Policy
from jwks_server.keys.verdict import Verdict, document

KIDS = [thumbprint(key("P-256", number)) for number in range(3)]


def test_a_file_with_two_outcomes_has_two_verdicts() -> None:
    """Of two keys in a file one is revoked, and of another two one is a duplicate."""
    pems = [public_pem(key("P-256", number)) for number in range(3)]
    files = [read_file("a.pem", pems[0] + pems[1], None), read_file("b.pem", pems[1] + pems[2], None)]
    found = evaluated(files, Policy(revoked=frozenset({KIDS[0]})))
    assert [(one.file, one.outcome, one.kids, one.thumbprints) for one in found.verdicts] == [
        ("a.pem", "published", (KIDS[1],), (KIDS[1],)),
        ("a.pem", "revoked", (KIDS[0],), (KIDS[0],)),
        ("b.pem", "duplicate", (), (KIDS[1],)),
        ("b.pem", "published", (KIDS[2],), (KIDS[2],)),
    ]
    assert found.verdicts[2].duplicate_of == "a.pem"


def test_every_kid_of_a_key_has_its_outcome() -> None:
    """A key that is revoked under one of its kids is revoked under all of them."""
    file = read_file("a.pem", public_pem(key("P-256", 0)), None)
    policy = Policy(revoked=frozenset({"old"}), files={"a.pem": KeyPolicy(kid="main", aliases=("old", "older"))})
    (verdict,) = evaluated([file], policy).verdicts
    assert (verdict.outcome, verdict.kids) == ("revoked", ("main", "old", "older"))
    assert {thumb for _, thumb in verdict.identities} == {KIDS[0]}


def test_document() -> None:
    """Only what there is to say stands in the document; times are RFC 3339."""
    assert document(Verdict("a", "published", ("k",), ("t",))) == {"file": "a", "verdict": "published", "kids": ["k"]}
    assert document(Verdict("a", "removed", ("k",), ("t",), since=0.0))["since"] == "1970-01-01T00:00:00.000Z"
    kept = document(Verdict("a", "kept", ("k",), ("t",), until=1.5, error=PemMissing("No PEM.")))
    assert (kept["until"], kept["code"], kept["reason"]) == ("1970-01-01T00:00:01.500Z", "pem-missing", "No PEM.")
    assert document(Verdict("a", "duplicate", duplicate_of="b"))["duplicate_of"] == "b"
