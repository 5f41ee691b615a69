"""Text from outside, made safe to print: a file's name and a server's answer can hold any bytes."""

import os


def printable(text: str) -> str:
    """Escape a text that has control characters, or that is not valid Unicode."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def well_formed(text: str) -> str:
    """Escape only what is not valid Unicode."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def reason(exc: OSError) -> str:
    """Describe an error in the system's words; an error without a number speaks for itself."""
    return os.strerror(exc.errno) if exc.errno else str(exc)
