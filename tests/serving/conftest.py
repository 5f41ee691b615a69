"""A catalog to serve from."""

import pytest
from support import build, key, public_pem

from jwks_server.keys.keyset import read_file
from jwks_server.keys.policy import Policy
from jwks_server.published.catalog import Catalog, Entry
from jwks_server.published.freshness import Freshness
from jwks_server.published.representation import render

PATH = "/.well-known/jwks.json"


@pytest.fixture
def entry() -> Entry:
    """Build a set of two keys, large enough to compress."""
    keyset = build([read_file("a.pem", public_pem(key("RSA")) + public_pem(key("P-256")), None)], Policy())
    return Entry(keyset, {PATH: render(keyset.body, Freshness(300), "application/json")})


@pytest.fixture
def catalog(entry: Entry) -> Catalog:
    """Publish it."""
    catalog = Catalog()
    catalog.publish({"/": entry})
    return catalog
