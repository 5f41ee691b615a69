"""An edition -> bytes, and back: what another process needs in order to serve it.

The bytes hold an edition's public part: its pages, with all variants and their headers, and the paths that are awaited.
They leave out ``entries``. Key sets, policies and file names stay in the process that reads the keys: a process that
only serves needs none of them, so a fault there can't reveal them.

Format: the line ``jwks-server edition 2``, the length of the index in eight bytes, the index as JSON, then the bodies
one after the other. The index tells each body's length, and names a body by its position. Equal bodies are written
once. Cache-Control is made when a reply is; the index tells what it is made from. The same edition always gives the
same bytes.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType

from jwks_server.errors import EditionDamaged
from jwks_server.published.catalog import Edition
from jwks_server.published.freshness import Freshness
from jwks_server.published.representation import Representation, Variant

_MAGIC = b"jwks-server edition 2\n"
_LENGTH_BYTES = 8


def to_bytes(edition: Edition) -> bytes:
    """Write an edition's public part."""
    bodies: dict[bytes, int] = {}
    pages = {
        path: {
            **asdict(page.freshness),
            "variants": [
                {
                    "coding": one.coding,
                    "body": bodies.setdefault(one.body, len(bodies)),
                    "etag": one.etag,
                    "headers": dict(one.headers),
                    "revalidated": dict(one.revalidated),
                }
                for one in page.variants
            ],
        }
        for path, page in edition.pages.items()
    }
    document = {"awaited": sorted(edition.awaited), "lengths": [len(body) for body in bodies], "pages": pages}
    index = json.dumps(document, separators=(",", ":")).encode("ascii")
    return b"".join((_MAGIC, len(index).to_bytes(_LENGTH_BYTES, "big"), index, *bodies))


def from_bytes(data: bytes) -> Edition:
    """Read an edition's public part, exactly as it was written; it has no ``entries``.

    Raises:
        EditionDamaged: The bytes are not what ``to_bytes`` writes.
    """
    try:
        edition = _edition(data)
        intact = to_bytes(edition) == data
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as exc:
        raise EditionDamaged("The bytes are not an edition; write it again.") from exc
    if not intact:  # a second way to write the same edition, such as a space in the index
        raise EditionDamaged("The bytes are not an edition as it is written; write it again.")
    return edition


def _edition(data: bytes) -> Edition:
    if not data.startswith(_MAGIC):
        raise ValueError("another format or version")
    begin = len(_MAGIC) + _LENGTH_BYTES
    end = begin + int.from_bytes(data[len(_MAGIC) : begin], "big")
    index = json.loads(data[begin:end])
    bodies = []
    for length in index["lengths"]:
        begin, end = end, end + _whole(length)
        bodies.append(data[begin:end])
    pages = {
        path: Representation(tuple(_variant(one, bodies) for one in page["variants"]), _freshness(page))
        for path, page in index["pages"].items()
    }
    awaited = frozenset(_text(path) for path in index["awaited"])
    return Edition(pages=MappingProxyType(pages), awaited=awaited)


def _variant(written: Mapping[str, object], bodies: list[bytes]) -> Variant:
    return Variant(
        coding=_text(written["coding"]),
        body=bodies[_whole(written["body"])],
        etag=_text(written["etag"]),
        headers=_fields(written["headers"]),
        revalidated=_fields(written["revalidated"]),
    )


def _freshness(written: Mapping[str, object]) -> Freshness:
    return Freshness(
        max_age=_whole(written["max_age"]),
        next_change=_time(written["next_change"]),
        next_removal=_time(written["next_removal"]),
    )


def _fields(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise TypeError
    return {name: _text(text) for name, text in value.items()}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _time(value: object) -> float | None:
    if value is not None and not (isinstance(value, float) and math.isfinite(value)):
        raise TypeError
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError
    return value
