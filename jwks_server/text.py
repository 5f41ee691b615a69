"""Text from outside, made fit to be shown: any bytes may be in a file's name, or in what a server answers."""

import os


def printable(text: str) -> str:
    """Escape a text that could steer a terminal, or is no Unicode."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def well_formed(text: str) -> str:
    """Escape only what is no Unicode."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def reason(exc: OSError) -> str:
    """Say what is wrong in the system's words, or in the error's own where it isn't the system's."""
    return os.strerror(exc.errno) if exc.errno else str(exc)
