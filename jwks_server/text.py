"""Text from outside, made safe to print: a file's name and a server's answer can hold any bytes."""

import os
import re
import ssl

_PLACE = re.compile(r"\[[^]]*\] | \(_ssl\.c:\d+\)")
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
        verified: str = getattr(exc, "verify_message", "")
        # Where OpenSSL gives no reason, the text is "[SSL] PEM lib (_ssl.c:3926)".
        given: str | None = getattr(exc, "reason", None)
        name = (given or _PLACE.sub("", str(exc.args[-1] if exc.args else exc))).upper().replace(" ", "_")
        return verified or _OF_OPENSSL.get(name) or name.replace("_", " ").lower()
    return os.strerror(exc.errno) if exc.errno else str(exc)
