"""Text from outside, made fit to be shown."""

import errno
import os
import ssl

from hypothesis import given
from hypothesis import strategies as st

from jwks_server.text import printable, reason, well_formed

# What a name of any bytes is to Python: Unicode with lone surrogates.
NAMES = st.binary(max_size=20).map(os.fsdecode)


@given(NAMES)
def test_any_name_can_be_shown(name: str) -> None:
    """Any name becomes printable text, and a printable one stays as it is."""
    assert printable(name).isprintable()
    assert printable(printable(name)) == printable(name)
    if name.isprintable():
        assert printable(name) == name


@given(NAMES)
def test_any_name_can_be_written(name: str) -> None:
    """Any name can be written as UTF-8, and what is Unicode stays as it is."""
    assert well_formed(name).encode("utf-8").decode("utf-8") == well_formed(name)
    assert well_formed("a\nä\x1b") == "a\nä\x1b"
    assert well_formed(os.fsdecode(b"\xff")) == "\\udcff"


def test_reasons() -> None:
    """The system's words where it is the system's error, the error's own where it isn't."""
    assert reason(OSError(errno.ENOSPC, "x")) == os.strerror(errno.ENOSPC)
    assert reason(OSError("descriptor 9 is no listening socket")) == "descriptor 9 is no listening socket"


def test_reasons_of_openssl() -> None:
    """OpenSSL's errors are told without the place in its source, with a reason and without one."""
    assert "_ssl.c" not in reason(ssl.SSLError(9, "[SSL] PEM lib (_ssl.c:3926)"))
    assert reason(ssl.SSLError(1, "[SSL: ODD_THING] odd thing (_ssl.c:1)")) == "odd thing"
