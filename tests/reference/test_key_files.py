"""docs/reference/key-files.md describes what is read and what is published."""

import json
from pathlib import Path
from typing import get_args

import pytest
from reference.tables import names, page, rows, tables
from support import certificate_pem, certify, evaluated, key, private_pem, public_pem, run

from jwks_server.errors import PemUnsupported
from jwks_server.keys import pem
from jwks_server.keys.jwk import to_json
from jwks_server.keys.keyset import read_file
from jwks_server.keys.kinds import KINDS, KidScheme
from jwks_server.keys.policy import Policy
from jwks_server.keys.verdict import Outcome
from jwks_server.options.table import SERVE
from jwks_server.source.files import MAX_FILE_BYTES

PAGE = page("key-files")
LABELS = pem.PUBLIC | pem.PRIVATE | {pem.OPENSSH, pem.CERTIFICATE}
P_256 = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


def test_every_label() -> None:
    """The table has each label of a block that can be published, and says of the others that they are refused."""
    named = {name for row in rows(PAGE, "PEM blocks") for name in names(row[0])}
    others = {"Proc-Type: 4,ENCRYPTED", "EC PARAMETERS"}
    assert (named - others, named & others) == (set(LABELS), others)
    assert rows(PAGE, "PEM blocks")[-1][0] == "any other"
    for label in ("EC PARAMETERS", "X509 CRL", "CERTIFICATE REQUEST"):
        with pytest.raises(PemUnsupported):
            pem.parse(f"-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n".encode())
    assert pem.parse(P_256 + private_pem(key("P-256"), traditional=True))


def test_names_and_sizes(tmp_path: Path) -> None:
    """The default patterns and the largest size are those of the code."""
    (patterns,) = (str(one.default) for one in SERVE if one.flag == "--pattern")
    assert f"({' and '.join(f'`{one}`' for one in patterns.split())} by default)" in PAGE
    assert MAX_FILE_BYTES == 64 * 1024
    assert "at most 64 KiB" in PAGE
    text = b"\xef\xbb\xbfabove\r\n" + public_pem(key("RSA")).replace(b"\n", b"\r\n") + b"below\r\n"
    (tmp_path / "a.pem").write_bytes(text)
    (tmp_path / ".hidden.pem").write_bytes(b"nonsense")
    assert run("check", tmp_path).returncode == 0


def test_every_member_of_a_key() -> None:
    """The table has the members of a key, in their order, and no others."""
    listed = [name for row in tables(PAGE, "Members of a key")[0] for name in names(row[0])]
    own = [name for kind in KINDS.values() for name in kind.members]
    assert [one for one in listed if one not in own] == ["kty", "kid", "use", "alg", "x5c", "x5t#S256"]
    assert set(own) <= set(listed)
    found = read_file("a.pem", certificate_pem(certify(key("RSA"))), None).keys[0]
    members = list(json.loads(to_json("a", "RS256", "sig", found, x5c=True)))
    assert members == sorted(members, key=listed.index)


def test_order_of_the_keys() -> None:
    """Keys are ordered by type, then by file, then by kid."""
    files = [read_file(f"{name}.pem", public_pem(key(kind)), None) for name, kind in zip("abcd", KINDS, strict=False)]
    mixed = evaluated([*files[::-1], read_file("e.pem", public_pem(key("RSA", 1)), None)], Policy())
    assert mixed.served is not None
    assert [one.file for one in mixed.served.keys] == ["a.pem", "e.pem", "b.pem", "c.pem", "d.pem"]
    assert "in the order RSA, EC, OKP, AKP, then by file name, then by kid" in PAGE
    assert list(dict.fromkeys(one.kty for one in sorted(KINDS.values(), key=lambda one: one.rank))) == [
        *("RSA", "EC", "OKP", "AKP")
    ]


def test_every_scheme_and_verdict() -> None:
    """The tables have each way to make a kid, and each verdict."""
    assert [names(row[0]) for row in tables(PAGE, "Members of a key")[1]] == [[one] for one in get_args(KidScheme)]
    assert {names(row[0])[0] for row in rows(PAGE, "Verdicts")} == set(get_args(Outcome))
