"""Issuers for the tests of the status page."""

from collections.abc import Mapping
from html.parser import HTMLParser
from types import MappingProxyType, SimpleNamespace
from typing import Any, TypeVar, cast

from hypothesis import strategies as st
from support import evaluated, key, public_pem

from jwks_server.errors import JwksError
from jwks_server.keys.evaluation import Evaluation
from jwks_server.keys.keyset import Key, KeySet, read_file
from jwks_server.keys.policy import Policy
from jwks_server.published.catalog import Catalog, Entry
from jwks_server.serving.certificate import Certificate
from jwks_server.serving.page.outline import Survey, outline, survey
from jwks_server.serving.slices import Facts, Steps
from jwks_server.serving.status import Reported
from jwks_server.stats import Reloads, Traffic

T = TypeVar("T")
ANYTHING = st.text(st.characters(), max_size=80) | st.sampled_from(
    [
        "</td><script>alert(1)</script>",
        '" onload="alert(1)',
        "' x='",
        "<!--",
        "]]>",
        "&lt;",
        "a\r\n\ndata: x",
        "\udcff",
        "\0",
    ]
)


class _Read(HTMLParser):
    """Takes down what a browser would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.content = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.content += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


def read(html: str) -> _Read:
    """Parse HTML."""
    parser = _Read()
    parser.feed(html)
    parser.close()
    return parser


def done(steps: Steps[T]) -> T:
    """Do work without pauses."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def a_key(kid: str = "one", **fields: Any) -> Key:
    """Make a key with these times and names."""
    public = read_file("a.pem", public_pem(key("P-256")), None).keys[0]
    return Key(
        kid, fields.pop("alg", "ES256"), fields.pop("use", "sig"), fields.pop("file", "a.pem"), public, b"{}", **fields
    )


def some_facts(
    *names: str, now: float = 0.0, policy: Policy | None = None, faults: tuple[JwksError, ...] = ()
) -> Facts:
    """Know an issuer with these files, each with a key of its own."""
    files = [read_file(name, public_pem(key("P-256", number)), None) for number, name in enumerate(names)]
    return facts_of(evaluated(files, policy or Policy(), now=now), faults)


def facts_of(evaluation: Evaluation, faults: tuple[JwksError, ...] = ()) -> Facts:
    """Know what was decided about an issuer."""
    served = evaluation.served
    return Facts(Entry(served, MappingProxyType({})) if served else None, evaluation, faults)


def surveyed(facts: Mapping[str, Facts]) -> Survey:
    """Survey issuers."""
    return done(survey(facts, {path: done(outline(path, one)) for path, one in facts.items()}))


def program(
    catalog: Catalog | None = None, *, draining: bool = False, certificate: Certificate | None = None
) -> Reported:
    """Report on a program with a set, whose connections only have what the page reads."""
    connections = _Connections(draining=draining, traffic=Traffic(), count=lambda: None)
    if catalog is None:
        catalog = Catalog()
        catalog.publish({"/": Entry(KeySet((), Policy()), MappingProxyType({}))})
    return Reported(catalog, Reloads(), cast("Any", connections), certificate, started=0.0)


class _Connections(SimpleNamespace):
    def __len__(self) -> int:
        return 3
