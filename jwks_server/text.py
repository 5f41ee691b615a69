"""Text from outside, made safe to print: a file's name and a server's answer can hold any bytes."""

import os
import ssl

# OpenSSL's words for what goes wrong most often, in words for people.
_OF_OPENSSL = {
    "PEM_LIB": "there is no such PEM block in one of them, or the key is encrypted",
    "NO_START_LINE": "there is no such PEM block in one of them",
    "KEY_VALUES_MISMATCH": "the key is not the certificate's",
    "WRONG_VERSION_NUMBER": "the server doesn't answer with TLS; try http",
}


def printable(text: str) -> str:
    """Escape a text that has control characters, or that is not valid Unicode."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def well_formed(text: str) -> str:
    """Escape only what is not valid Unicode."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def reason(exc: OSError) -> str:
    """Describe an error in the system's words; an error without a number speaks for itself."""
    if isinstance(exc, ssl.SSLError):  # its numbers are not the system's
        verified = getattr(exc, "verify_message", None)
        return verified or _OF_OPENSSL.get(exc.reason) or exc.reason.replace("_", " ").lower()
    return os.strerror(exc.errno) if exc.errno else str(exc)
