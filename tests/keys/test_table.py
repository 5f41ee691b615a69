"""Where in jwks.toml a fault is: the message names the line and the key."""

import pytest

from jwks_server.errors import PolicyInvalid
from jwks_server.keys.policy import Policy, parse

FAULTS = {
    "max_age = -1": (1, "max_age"),
    "x5c = true\n\nunheard_of = 1": (3, "unheard_of"),
    'x5c = true\n[keys."a.pem"]\nalg = "RS256"\nuse = "both"': (4, "use"),
    "x5c = true\n[keys.'a.pem']\nalias = []": (3, "alias"),
    '[keys."a.pem"]\nkid = "a"\n[keys."b.pem"]\nkid = ""': (4, "kid"),
    '[ keys . "a.pem" ]\npublish_at = 2026-01-01': (2, "publish_at"),
}


@pytest.mark.parametrize("text", FAULTS)
def test_line_and_key(text: str) -> None:
    """The line that sets the key is named, whatever its table and however that is quoted."""
    line, name = FAULTS[text]
    with pytest.raises(PolicyInvalid) as caught:
        parse(text.encode(), Policy())
    assert caught.value.message.startswith(f"jwks.toml line {line}: ")
    assert name in caught.value.message


def test_member_that_is_set_by_dots() -> None:
    """A table that is written as dotted keys is found by its name all the same."""
    with pytest.raises(PolicyInvalid, match="use is not"):
        parse(b'keys."a.pem".use = "both"', Policy())
