"""JWK files: the RFCs' examples, what other tools write, and what is refused."""

import base64
import json
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OKPKey
from jwcrypto.jwk import JWK
from support import PUBLISHABLE_KINDS, certify, key, private_jwk, private_pem, public_jwk

from jwks_server import errors
from jwks_server.keys import pem
from jwks_server.keys.chain import FoundKey
from jwks_server.keys.jwk import b64url, public_key
from jwks_server.keys.jwk_file import MAX_KEYS, is_jwk_file, parse
from jwks_server.keys.keyset import read_file

# RFC 7517 appendix A.1.
EC = {
    "kty": "EC",
    "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    "use": "enc",
    "kid": "1",
}
RSA = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiF"
    "V4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zg"
    "dAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-"
    "kEgU8awapJzKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}
# RFC 7517 appendix B.
CERTIFIED = {"kty": "RSA", "use": "sig", "kid": "1b94c", "e": "AQAB"}
CERTIFIED["n"] = (
    "vrjOfz9Ccdgx5nQudyhdoR17V-IubWMeOZCwX_jj0hgAsz2J_pqYW08PLbK_PdiVGKPrqzmDIsLI7sA25VEnHU1uCLNwBuUiCO11_-"
    "7dYbsr4iJmG0Qu2j8DsVyT1azpJC_NG84Ty5KKthuCaPod7iI7w0LK9orSMhBEwwZDCxTWq4aYWAchc8t-"
    "emd9qOvWtVMDC2BXksRngh6X5bUYLy6AyHKvj-nUy1wgzjYQDwHMTplCoLtU-o-8SNnZ1tmRoGE9uJkBLdh5gFENabWnU5m1ZqZPdwS-qo-"
    "meMvVfJb6jJVWRpl2SUtCnYG2C32qvbWbjZ_jBPD5eunqsIo1vQ"
)
CERTIFICATE = (
    "MIIDQjCCAiqgAwIBAgIGATz/FuLiMA0GCSqGSIb3DQEBBQUAMGIxCzAJBgNVBAYTAlVTMQswCQYDVQQIEwJDTzEPMA0GA1UEBxMGRGVudmVyMR"
    "wwGgYDVQQKExNQaW5nIElkZW50aXR5IENvcnAuMRcwFQYDVQQDEw5CcmlhbiBDYW1wYmVsbDAeFw0xMzAyMjEyMzI5MTVaFw0xODA4MTQyMjI5"
    "MTVaMGIxCzAJBgNVBAYTAlVTMQswCQYDVQQIEwJDTzEPMA0GA1UEBxMGRGVudmVyMRwwGgYDVQQKExNQaW5nIElkZW50aXR5IENvcnAuMRcwFQ"
    "YDVQQDEw5CcmlhbiBDYW1wYmVsbDCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAL64zn8/QnHYMeZ0LncoXaEde1fiLm1jHjmQsF/4"
    "49IYALM9if6amFtPDy2yvz3YlRij66s5gyLCyO7ANuVRJx1NbgizcAblIgjtdf/u3WG7K+IiZhtELto/A7Fck9Ws6SQvzRvOE8uSirYbgmj6He"
    "4iO8NCyvaK0jIQRMMGQwsU1quGmFgHIXPLfnpnfajr1rVTAwtgV5LEZ4Iel+W1GC8ugMhyr4/p1MtcIM42EA8BzE6ZQqC7VPqPvEjZ2dbZkaBh"
    "PbiZAS3YeYBRDWm1p1OZtWamT3cEvqqPpnjL1XyW+oyVVkaZdklLQp2Btgt9qr21m42f4wTw+Xrp6rCKNb0CAwEAATANBgkqhkiG9w0BAQUFAA"
    "OCAQEAh8zGlfSlcI0o3rYDPBB07aXNswb4ECNIKG0CETTUxmXl9KUL+9gGlqCz5iWLOgWsnrcKcY0vXPG9J1r9AqBNTqNgHq2G03X09266X5Cp"
    "Oe1zFo+Owb1zxtp3PehFdfQJ610CDLEaS9V9Rqp17hCyybEpOGVwe8fnk+fbEL2Bo3UPGrpsHzUoaGpDftmWssZkhpBJKVMJyf/RuP2SmmaIzm"
    "nw9JiSlYhzo4tpzd5rFXhjRbg4zW9C+2qok+2+qDM1iJ684gPHMIY8aLWrdgQTxkumGmTqgawR+N5MDtdPTEQ0XfIBc2cJEUyMTY5MPvACWpkA"
    "6SdS4xSvdXK3IVfOWA=="
)
# RFC 8037 appendix A.2.
OKP = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


def parsed(document: object) -> tuple[FoundKey, ...]:
    """Parse what a document is as JSON."""
    return parse(json.dumps(document).encode())


def test_rfc_7517_appendix_a_1() -> None:
    """The example set gives both keys, with their kid, alg and use."""
    ec, rsa = parsed({"keys": [EC, RSA]})
    assert (ec.kid, ec.alg, ec.use) == ("1", None, "enc")
    assert (rsa.kid, rsa.alg, rsa.use) == ("2011-04-29", "RS256", None)
    assert public_key(ec).members == {name: EC[name] for name in ("crv", "x", "y")}
    assert public_key(rsa).thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"  # RFC 7638 section 3.1


def test_rfc_7517_appendix_a_3() -> None:
    """The symmetric examples are refused."""
    for more in ({"alg": "A128KW", "k": "GawgguFyGrWKav7AX4VKUg"}, {"k": "AyM1SysPpbyDfgZld3umj1qzKO", "kid": "HMAC"}):
        with pytest.raises(errors.KeySymmetric):
            parsed({"keys": [{"kty": "oct", **more}]})


def test_rfc_7517_appendix_b() -> None:
    """The example with a certificate gives the key with x5c as it was written."""
    (found,) = map(public_key, parsed({**CERTIFIED, "x5c": [CERTIFICATE]}))
    assert (found.kid, found.use, found.x5["x5c"]) == ("1b94c", "sig", [CERTIFICATE])
    assert found.members == {"n": CERTIFIED["n"], "e": "AQAB"}


def test_rfc_8037_appendix_a_1() -> None:
    """The private Ed25519 example gives the public one; its alg may have the name of RFC 8037 or of RFC 9864."""
    for alg in ("EdDSA", "Ed25519"):
        (found,) = parsed({**OKP, "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "alg": alg})
        assert (found.private, found.alg) == (True, alg)
        assert public_key(found).members == {"crv": "Ed25519", "x": OKP["x"]}


def test_rfc_8037_appendix_a_2() -> None:
    """The Ed25519 example gives the thumbprint of appendix A.3."""
    (found,) = parsed(OKP)
    assert public_key(found).thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_rfc_7517_appendix_a_2() -> None:
    """Of a private key only the public half is read, and the file counts as private."""
    (found,) = parsed({**EC, "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"})
    assert found.private
    assert public_key(found).members == {name: EC[name] for name in ("crv", "x", "y")}


@pytest.mark.parametrize("kind", PUBLISHABLE_KINDS)
def test_every_kind(kind: str) -> None:
    """A key is the same one as JWK, private or public, and as PEM."""
    (known,) = map(public_key, pem.parse(private_pem(key(kind))))
    for document in (public_jwk(key(kind)), private_jwk(key(kind))):
        (found,) = map(public_key, parsed(document))
        assert found == replace(known, private=not {"d", "priv"}.isdisjoint(document), alg=found.alg)
        assert (found.kid, found.use) == (None, None)


def test_spiffe_bundle() -> None:
    """Of a SPIFFE bundle the keys for JWT-SVIDs are taken, and those for X.509-SVIDs are not."""
    keys = [
        public_jwk(key("P-256", 0), use="x509-svid", x5c=["AAAA"]),
        public_jwk(key("P-256", 1), use="jwt-svid", kid="k"),
    ]
    about = {"spiffe_sequence": 12, "spiffe_refresh_hint": 300}
    (found,) = parsed({**about, "keys": keys})
    assert (found.kid, found.use) == ("k", "sig")
    with pytest.raises(errors.JwkMissing, match="no key for JWTs"):
        parsed({**about, "keys": keys[:1]})


def test_what_other_tools_write() -> None:
    """The members that jose, jwcrypto, joserfc, step and SPIRE add to a key, or around keys."""
    by_jose = private_jwk(key("P-256", 0), alg="ES256", key_ops=["sign", "verify"])
    by_jwcrypto = json.loads(JWK.from_pyca(key("P-256", 1)).export())
    by_joserfc = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "EdDSA"}).as_dict(private=True)
    by_step = public_jwk(key("RSA"), use="sig", kid="step", alg="RS256")
    found = parsed({"keys": [by_jose, by_jwcrypto, by_joserfc, by_step]})
    assert [(one.kid, one.alg, one.use, one.private) for one in found] == [
        (None, "ES256", "sig", True),
        (by_jwcrypto["kid"], None, None, True),
        (by_joserfc.get("kid"), "EdDSA", "sig", True),
        ("step", "RS256", "sig", False),
    ]
    authority = der(certify(key("P-384"), name="authority", ca=True))
    by_spire = [
        public_jwk(key("P-384"), use="x509-svid", x5c=[authority]),
        public_jwk(key("P-256", 0), use="jwt-svid", kid="C6vs25welZOx6WksNYfbMfiw9l96pMnD"),
    ]
    (svid,) = parsed({"keys": by_spire, "spiffe_sequence": 1, "spiffe_refresh_hint": 300})
    assert (svid.kid, svid.use, svid.chain) == ("C6vs25welZOx6WksNYfbMfiw9l96pMnD", "sig", ())
    encrypted_by_step = {"protected": "e30", "encrypted_key": "AA", "iv": "AA", "ciphertext": "AA", "tag": "AA"}
    with pytest.raises(errors.JwkMissing):
        parsed(encrypted_by_step)


@pytest.mark.parametrize(
    ("more", "use"),
    [
        ({}, None),
        ({"key_ops": ["verify"]}, "sig"),
        ({"key_ops": ["sign", "verify"], "alg": "RS256"}, "sig"),
        ({"key_ops": ["wrapKey"]}, "enc"),
        ({"key_ops": []}, None),
        ({"alg": "RSA-OAEP"}, "enc"),
        ({"use": "enc", "key_ops": ["verify"]}, "enc"),
    ],
)
def test_use(more: dict[str, object], use: str | None) -> None:
    """The use is said by itself, by the operations, or by the algorithm."""
    (found,) = parsed({**public_jwk(key("RSA")), **more})
    assert found.use == use


def test_a_key_that_is_twice_in_a_set() -> None:
    """It is found once; if its kid, alg or use differ, the set is refused, since one of them would be lost."""
    assert len(parsed({"keys": [OKP, {**OKP, "ext": True}, EC]})) == 2
    for other in ({"kid": "again"}, {"use": "sig"}, {"alg": "EdDSA"}):
        with pytest.raises(errors.JwkMalformed, match="twice"):
            parsed({"keys": [OKP, EC, {**OKP, **other}]})


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({}, errors.JwkMissing),
        ({"issuer": "https://a.example", "jwks_uri": "https://a.example/jwks"}, errors.JwkMissing),
        ({"keys": []}, errors.JwkMissing),
        ({"keys": {}}, errors.JwkMissing),
        ({"keys": [1]}, errors.JwkMissing),
        ({"version": 1, "keys": [{"jwk": OKP}]}, errors.JwkMissing),
        ({"keys": [OKP, {}]}, errors.JwkMalformed),
        ({"keys": [OKP, 1]}, errors.JwkMalformed),
        ({"keys": [OKP] * (MAX_KEYS + 1)}, errors.JwkMalformed),
        ({"kty": 7}, errors.JwkMalformed),
        ({"kty": "oct", "k": "AAAA"}, errors.KeySymmetric),
        ({"keys": [OKP, {"kty": "oct", "k": "AAAA"}]}, errors.KeySymmetric),
        ({**OKP, "more": json.loads("[" * 16 + "]" * 16)}, errors.JwkMalformed),
        ({"kty": "PQC"}, errors.KindUnsupported),
        ({"kty": "\n" * 9}, errors.KindUnsupported),
        ({**OKP, "crv": "Ed25518"}, errors.KindUnsupported),
        ({**EC, "crv": "Ed25519"}, errors.KindUnsupported),
        ({**OKP, "x": "AAAA"}, errors.KeyInconsistent),
        ({**EC, "y": EC["x"]}, errors.KeyInconsistent),
        ({**EC, "y": "A" * 43}, errors.KeyInconsistent),
        ({**RSA, "e": "Ag"}, errors.KeyInconsistent),
        ({**RSA, "n": "AQ"}, errors.KeyInconsistent),
        ({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}, errors.KeyInconsistent),
        ({**OKP, "x": OKP["x"] + "="}, errors.JwkMalformed),
        ({"kty": "OKP", "crv": "Ed25519"}, errors.JwkMalformed),
        ({**OKP, "use": "tls"}, errors.JwkMalformed),
        ({**OKP, "use": None}, errors.JwkMalformed),
        ({**OKP, "alg": 1}, errors.JwkMalformed),
        ({**OKP, "kid": ""}, errors.JwkMalformed),
        ({**OKP, "kid": 1}, errors.JwkMalformed),
        ({**OKP, "kid": "a\n"}, errors.KidInvalid),
        ({**OKP, "kid": "a" * 256}, errors.KidInvalid),
        ({**OKP, "kid": "\ud800"}, errors.KidInvalid),
        ({**OKP, "key_ops": "verify"}, errors.JwkMalformed),
        ({**OKP, "x5c": "AAAA"}, errors.JwkMalformed),
        ({**OKP, "x5c": ["AAAA"]}, errors.KeyMalformed),
        ({**OKP, "x5c": ["-"]}, errors.KeyMalformed),
    ],
)
def test_refused(document: object, error: type[errors.KeyFileError]) -> None:
    """What gives no good key refuses the file, with a code and a way out."""
    with pytest.raises(error, match=r"; |\. "):
        parsed(document)


def test_small_rsa_key() -> None:
    """RSA keys have at least 2048 bits, as in PEM."""
    small = key("RSA-1024").public_key().public_numbers()
    document = {"kty": "RSA", "n": b64url(small.n.to_bytes(128, "big")), "e": "AQAB"}
    file = read_file("a.json", json.dumps(document).encode(), None)
    assert isinstance(file.error, errors.KeyTooSmall)


def der(certificate: x509.Certificate) -> str:
    """Write a certificate as x5c has it."""
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def test_certificates() -> None:
    """A chain is kept if it is the key's, in order, and with the digests that are said."""
    root, leaf, other = key("P-384"), key("P-256", 0), key("P-256", 1)
    authority = certify(root, name="root", ca=True)
    own = certify(leaf, (authority, root))
    jwk = public_jwk(leaf, x5c=[der(own), der(authority)])
    (found,) = parsed({**jwk, "x5t#S256": b64url(own.fingerprint(hashes.SHA256()))})
    assert found.chain == (own, authority)
    for wrong in (
        {**jwk, "x5c": [der(certify(other))]},
        {**jwk, "x5c": [der(own), der(certify(other, name="root", ca=True))]},
        {**jwk, "x5c": [der(authority), der(own)]},
        {**jwk, "x5t#S256": b64url(authority.fingerprint(hashes.SHA256()))},
        {**jwk, "x5t": b64url(b"0" * 20)},
    ):
        with pytest.raises(errors.CertificateMismatch):
            parsed(wrong)


@pytest.mark.parametrize(
    ("name", "data", "jwk"),
    [
        ("a.json", b"", True),
        ("a.jwk", b"-----BEGIN PUBLIC KEY-----", True),
        ("a.pem", b"\xef\xbb\xbf {", True),
        ("a.pem", b"{ is a brace\n-----BEGIN PUBLIC KEY-----", False),
        ("a.pem", b"", False),
    ],
)
def test_which_files_are_jwk_files(name: str, data: bytes, jwk: bool) -> None:
    """The name decides, or the contents where the name says nothing."""
    assert is_jwk_file(name, data) is jwk


MEMBERS = st.sampled_from(("kty", "crv", "x", "y", "n", "e", "alg", "use", "kid", "keys", "x5c", "key_ops", "d", "pub"))
VALUES = st.recursive(
    st.none() | st.integers() | st.text() | st.sampled_from(("RSA", "EC", "OKP", "AKP", "P-256", "Ed25519", "AQAB")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=5),
)


@given(
    st.dictionaries(MEMBERS, VALUES)
    | st.builds(lambda base, more: {**base, **more}, st.sampled_from((EC, RSA, OKP)), st.dictionaries(MEMBERS, VALUES))
)
def test_any_object(document: dict[str, object]) -> None:
    """Any object gives keys or a coded error, and an error doesn't repeat a private member."""
    secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ"
    file = read_file("a.json", json.dumps({"d": secret, **document}).encode(), None)
    assert bool(file.keys) is not bool(file.error)
    assert secret not in repr(file)


@given(st.binary(max_size=99), st.sampled_from((EC, RSA, OKP, {"keys": [OKP, EC]})), st.data())
def test_any_bytes(more: bytes, document: dict[str, object], data: st.DataObject) -> None:
    """Any bytes, and a good file with other bytes in the middle, give keys or a coded error."""
    good = json.dumps(document).encode()
    at = data.draw(st.integers(0, len(good)))
    for contents in (more, good[:at] + more + good[at + data.draw(st.integers(0, 9)) :]):
        file = read_file("a.jwk", contents, None)
        assert bool(file.keys) is not bool(file.error)
