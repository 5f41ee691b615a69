"""The sections about the whole program."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from status_pages import ANYTHING, program, read, some_facts, surveyed

from jwks_server.errors import DirectoryMissing, TlsInvalid
from jwks_server.keys.evaluation import Evaluation, Finding
from jwks_server.keys.validity import Validity
from jwks_server.published.catalog import Catalog
from jwks_server.serving.page.outline import Survey
from jwks_server.serving.page.rates import Line, Rates
from jwks_server.serving.page.sections import attention, state, traffic
from jwks_server.serving.slices import Facts
from jwks_server.stats import Pace


def words(html: str) -> str:
    """Read what is shown."""
    return read(html).content


def test_state() -> None:
    """What comes next is counted down; keys by stage, the last reload and the watch are told."""
    reported = program()
    reported.reloads.add(["event", "SIGHUP"], "published", at=90.0, seconds=0.1, scan=0.1, faults={})
    reported.reloads.pace = Pace(5.0, "Because.")
    told = words(state(reported, surveyed({"/": some_facts("a.pem", "b.pem", now=0.0)}), 100.0))
    assert "ready" in told
    assert "Next changein 18 min 20 s" in told
    assert "of / is safe to sign" in told
    assert "Issuers12 keys: 2 published" in told
    assert "published 10 s agoby event and SIGHUP" in told
    assert "followed by eventsrescan every 5 s: Because." in told
    assert "TLS certificatenone" in told


def test_nothing_yet() -> None:
    """Before the first load the page says that, and why."""
    reported = program(Catalog())
    reported.reloads.faults = {"/": (DirectoryMissing("No <directory>."),)}
    told = words(state(reported, Survey(), 0.0))
    assert told.startswith(
        "Statenot ready No key set has been loaded yet; see the log, or /status. [directory-missing]"
    )
    assert "none planned" in told
    assert "none yet" in told
    assert "1 failing" in told


def test_draining() -> None:
    """After SIGTERM the page says so."""
    assert words(state(program(draining=True), Survey(), 0.0)).startswith("Statedraining The process is draining")


def test_certificate() -> None:
    """The end of the certificate is counted down, and each fault is told with its code."""
    certificate: Any = SimpleNamespace(
        file="<tls>.pem", loaded=0.0, validity=Validity(-50.0, 86400.0), faults=(TlsInvalid("Renew it."),)
    )
    told = words(state(program(certificate=certificate), Survey(), 0.0))
    assert "ends in 1 d<tls>.pemloaded now" in told
    assert "tls-invalid Renew it." in told


def test_attention() -> None:
    """A thousand issuers with the same finding are one row, with a few of them."""
    facts = {
        f"/{number}": Facts(None, Evaluation(findings=(Finding("no-rsa", "set", "Hm."),)), ()) for number in range(1000)
    }
    html = attention(surveyed(facts), {}, 0.0)
    assert html.count("no-rsa") == 1
    assert "and 995 more" in html
    assert html.count('<a href="?q=%2F') == 5
    assert "Nothing needs attention." in attention(Survey(), {}, 0.0)


def test_signing_too_early() -> None:
    """Where all keys were replaced at once the page says until when to wait, and no longer."""
    assert "until one is safe in 1 min." in words(attention(Survey(), {"/acme": 60.0}, 0.0))
    assert "Nothing needs attention." in attention(Survey(), {"/acme": 60.0}, 60.0)


def test_traffic() -> None:
    """Answers by status and by what served them, a second and in total."""
    rates = Rates((Line(200, "cache", 1234.56, 1_000_000), Line(404, "application", 0.04, 3)), 9.7)
    told = words(traffic(rates, 1, 0.0))
    assert "1234.6 answers a second on the public listener, over the last 9 s; 1 connection open" in told
    assert "200cache1234.61,000,000404application0.03" in told


@pytest.mark.parametrize("what", ["path", "reason"])
@given(ANYTHING)
@settings(max_examples=30)
def test_nothing_from_files_is_markup(what: str, given_text: str) -> None:
    """Whatever a path or a reason holds, the elements are the same."""

    def tags(text: str) -> list[str]:
        path, reason = (f"/{text}", "r") if what == "path" else ("/p", text)
        facts = {path: Facts(None, Evaluation(findings=(Finding("no-rsa", reason or "s", reason),)), ())}
        return [tag for tag, _ in read(attention(surveyed(facts), {path: 9.0}, 0.0)).tags]

    assert tags(given_text) == tags("harmless")
