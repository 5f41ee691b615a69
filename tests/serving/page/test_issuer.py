"""One issuer on the page."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from status_pages import ANYTHING, a_key, done, facts_of, read, some_facts

from jwks_server.errors import PemMissing, PolicyInvalid
from jwks_server.keys.evaluation import Evaluation, Finding
from jwks_server.keys.keyset import KeySet
from jwks_server.keys.policy import Policy
from jwks_server.keys.verdict import Outcome, Verdict
from jwks_server.serving.page.issuer import MAX_ROWS, issuer
from jwks_server.serving.page.outline import outline
from jwks_server.serving.slices import Facts
from jwks_server.stats import IssuerReload


def written(facts: Facts, path: str = "/acme", now: float = 0.0) -> str:
    """Write about an issuer."""
    return done(issuer(path, facts, done(outline(path, facts)), now))


def verdicts_of(*verdicts: Verdict) -> Facts:
    """Know these verdicts of an issuer."""
    return facts_of(Evaluation(KeySet((), Policy()), serves=True, verdicts=verdicts, decided_at=0.0))


def test_keys_and_files() -> None:
    """Each key has a row with its drawing and what comes next; each file has one with its verdict."""
    html = written(some_facts("a.pem", "b.pem", now=0.0), now=10.0)
    assert html.count('<svg class="bar"') == 2
    assert html.count(">in 19 min 50 s</time>") == 2
    assert "<summary" in html
    assert "Files: 2 published" in html
    assert " open" not in html
    assert "2 keys · max-age 300 s" in html


@pytest.mark.parametrize(
    ("outcome", "fields", "words"),
    [
        ("published", {}, "In the set."),
        ("published", {"until": 60.0}, "In the set; it leaves it in 1 min."),
        ("pending", {"until": 60.0}, "It is published in 1 min."),
        ("retiring", {"until": 60.0}, "The file is gone, and its key still verifies; it leaves the set in 1 min."),
        ("retiring", {}, "The file is gone, and its key still verifies."),
        ("removed", {"since": -1.0}, "Its remove_at has come; delete the file."),
        ("revoked", {}, "Revoked in jwks.toml; delete the file."),
        ("duplicate", {"duplicate_of": "a.pem"}, "The same key as in a.pem; delete one of the two."),
        ("kept", {"until": 60.0}, "The last good version stays, and ends in 1 min. "),
        ("kept", {"error": PemMissing("Nothing.")}, "The last good version stays. pem-missing Nothing."),
        ("refused", {"error": PemMissing("Put a key there.")}, "pem-missing Put a key there."),
    ],
)
def test_every_verdict_has_its_way_out(outcome: Outcome, fields: dict[str, Any], words: str) -> None:
    """What became of a file is said in words, with what to do."""
    html = written(verdicts_of(Verdict("x.pem", outcome, **fields)))
    assert f'<span class="badge {outcome}">{outcome}</span>' in html
    assert read(html).content.endswith(words)


def test_the_worst_comes_first() -> None:
    """The files are shown at once where one asks for something, and that is the first."""
    html = written(verdicts_of(Verdict("a.pem", "published"), Verdict("b.pem", "refused", error=PemMissing("No."))))
    assert "<details open>" in html
    assert re.findall(r"[ab]\.pem", html) == ["b.pem", "a.pem"]
    assert "Files: 1 refused, 1 published" in html


def test_faults_and_findings() -> None:
    """What concerns the whole issuer is above its keys; a file's error is with the file only."""
    facts = some_facts("a.pem", faults=(PolicyInvalid("Bad <toml>."),))
    assert facts.evaluation
    evaluation = replace(
        facts.evaluation,
        findings=(Finding("no-rsa", "set", "Hm."),),
        verdicts=(Verdict("b.pem", "refused", error=PemMissing("No.")),),
    )
    html = written(facts._replace(evaluation=evaluation, reload=IssuerReload(-60.0, "failed", -120.0)))
    notes = html.partition('<ul class="notes">')[2].partition("</ul>")[0]
    assert read(notes).content == "policy-invalid Bad <toml>.no-rsa Hm."
    assert 'failing <time datetime="1969-12-31T23:58:00.000Z"' in html


def test_an_issuer_without_a_set() -> None:
    """Before the first set there is the fault and no table."""
    html = written(Facts(None, None, (PolicyInvalid("Bad."),)))
    assert "no set is published yet" in html
    assert "<table" not in html


def test_many_rows() -> None:
    """A table is bounded, and says what it leaves out."""
    html = written(verdicts_of(*(Verdict(f"{number}.pem", "published") for number in range(MAX_ROWS + 1))))
    assert html.count("badge published") == MAX_ROWS
    assert f"The first {MAX_ROWS} of {MAX_ROWS + 1}; " in html


@given(ANYTHING, ANYTHING, ANYTHING)
@settings(max_examples=50)
def test_nothing_from_files_is_markup(name: str, kid: str, reason: str) -> None:
    """Folders, files, kids and reasons can hold any text: the page has the same elements as with harmless ones."""
    error = PemMissing(reason)

    def page(name: str, kid: str) -> str:
        keys = a_key(kid, file=name, alg=kid, first_published=0.0, safe_to_sign_at=5.0)
        verdicts = (Verdict(name, "refused", error=error), Verdict(name, "duplicate", (kid,), duplicate_of=name))
        findings = (Finding("no-rsa", name, reason),)
        evaluation = Evaluation(
            KeySet((keys,), Policy()), serves=True, verdicts=verdicts, findings=findings, decided_at=0.0
        )
        return written(facts_of(evaluation, (PolicyInvalid(reason),)), f"/{name}")

    def shape(html: str) -> list[tuple[str, list[str]]]:
        return [(tag, [name for name, _ in attributes]) for tag, attributes in read(html).tags]

    html = page(name or "x", kid or "x")
    assert shape(html) == shape(page("a", "b"))
    assert html.isprintable()
