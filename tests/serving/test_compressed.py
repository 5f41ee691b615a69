"""Texts of parts, compressed part by part."""

import gzip
import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwks_server.serving.compressed import Part, gzipped


@given(st.lists(st.binary(max_size=2000), max_size=4))
async def test_every_reader_gets_the_whole_text(parts: list[bytes]) -> None:
    """The parts are one gzip member, with the size and the checksum of them all."""
    assert gzip.decompress(await gzipped([Part(one) for one in parts])) == b"".join(parts)


async def test_large_parts() -> None:
    """A large part comes out whole too, and what repeats is small; the gzip program reads the result."""
    text, noise = b"jwks_server_key_info 1\n" * 20_000, os.urandom(100_000)
    parts = [Part(text), Part(noise), Part(b"end")]
    done = await gzipped(parts)
    assert len(done) < len(noise) + 10_000
    assert subprocess.run(["gzip", "-dc"], input=done, capture_output=True, check=True).stdout == text + noise + b"end"


@pytest.mark.parametrize("size", [10, 100_000])
async def test_compressed_once(size: int) -> None:
    """A part that is sent again is not compressed again."""
    part = Part(bytes(size))
    assert await part.deflated() is await part.deflated()
