"""Issuers for the tests of the status page."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from support import evaluated, key, public_pem

from jwks_server.errors import JwksError
from jwks_server.keys.evaluation import Evaluation
from jwks_server.keys.keyset import Key, read_file
from jwks_server.keys.policy import Policy
from jwks_server.published.catalog import Entry
from jwks_server.serving.page.outline import Survey, outline, survey
from jwks_server.serving.slices import Facts, Steps

T = TypeVar("T")


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
