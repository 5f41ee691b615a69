"""When the server's own certificate is valid."""

from dataclasses import dataclass

from cryptography import x509

from jwks_server.errors import TlsExpired, TlsInvalid, TlsNotYetValid
from jwks_server.keys.instants import utc


@dataclass(frozen=True, slots=True)
class Validity:
    """A certificate's validity period (RFC 5280 section 4.1.2.5), in seconds since the epoch."""

    not_before: float
    not_after: float

    def fault(self, name: str, now: float) -> TlsInvalid | None:
        """Return why clients refuse the certificate now; None if its period is no reason.

        Args:
            name: The certificate's file.
            now: In seconds since the epoch.
        """
        if now > self.not_after:
            return TlsExpired(f"The certificate in {name} expired at {utc(self.not_after)}; renew it.")
        if now < self.not_before:
            return TlsNotYetValid(
                f"The certificate in {name} is not valid before {utc(self.not_before)}; "
                "wait until then, or check this machine's clock."
            )
        return None


def validity(chain: bytes) -> Validity | None:
    """Read the period of a PEM chain's first certificate, the server's own; None where it can't be read.

    The other certificates don't count: clients ignore an expired one if another path leads to an authority.
    """
    try:
        own = x509.load_pem_x509_certificate(chain)
        return Validity(own.not_valid_before_utc.timestamp(), own.not_valid_after_utc.timestamp())
    except ValueError:
        return None
