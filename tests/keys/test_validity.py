"""A certificate's validity period, as the server's own TLS certificate needs it."""

from support import certificate_pem, certify, key

from jwks_server.keys.validity import Validity, validity


def test_first_certificate_counts() -> None:
    """The period is that of the chain's first certificate, to the second; both of its ends are inside."""
    leaf, authority = certify(key("P-256")), certify(key("P-256", 1), days=(-9, -8))
    found = validity(certificate_pem(leaf, authority))
    assert found == Validity(leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp())
    assert found.fault("a.pem", found.not_before) is found.fault("a.pem", found.not_after) is None


def test_faults_name_the_file_and_the_time() -> None:
    """Outside of the period the fault names the file and the end that was missed."""
    period = Validity(86400.0, 2 * 86400.0)
    early, late = period.fault("a.pem", 86399.0), period.fault("a.pem", 2 * 86400.0 + 1)
    assert early
    assert late
    assert (early.code, late.code) == ("tls-not-yet-valid", "tls-expired")
    assert "a.pem is not valid before 1970-01-02T00:00:00.000Z" in early.message
    assert "a.pem expired at 1970-01-03T00:00:00.000Z" in late.message


def test_unreadable() -> None:
    """Where the certificate can't be read, nothing is said of its period."""
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert [validity(one) for one in (b"", b"nonsense", broken)] == [None] * 3
