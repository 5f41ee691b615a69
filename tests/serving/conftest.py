"""A catalog to serve from."""

import pytest
from support import key, public_pem

from jwks_server.catalog import Catalog, Entry
from jwks_server.keys.build import build
from jwks_server.keys.keyset import read_file
from jwks_server.keys.policy import Policy
from jwks_server.serving.representation import Representation, render

PATH = "/.well-known/jwks.json"


@pytest.fixture
def entry() -> Entry[Representation]:
    """Build a set of two keys, large enough to compress."""
    keyset = build([read_file("a.pem", public_pem(key("RSA")) + public_pem(key("P-256")), None)], Policy())
    return Entry(keyset, 300, {PATH: render(keyset.body, 300, "application/json")})


@pytest.fixture
def catalog(entry: Entry[Representation]) -> Catalog[Representation]:
    """Publish it."""
    catalog = Catalog[Representation]()
    catalog.publish({"/": entry})
    return catalog
