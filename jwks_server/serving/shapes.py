"""The shapes of requests: which requests differ from a known one in nothing that counts, without parsing them.

A shape is a request as one number, with a mask over the bits that count: names, line ends, and the values that are
read. Another request of the same length and with the same bits under the mask has the same lines and the same names.
If it has as many bytes that are not printable, none of them is in a value that doesn't count: the known request has
all of its own under the mask. So both have the same key, and the same reply.
"""

from typing import Generic, TypeVar

from jwks_server.serving.request_fields import mask

Reply = TypeVar("Reply")

_PRINTABLE = bytes(range(0x20, 0x7F))
_MAX_A_LENGTH = 8
_MAX_BYTES = 1024 * 1024
# Where there is no room, one of so many is learned all the same: requests that never come again cost little, and
# those that come again and again are learned soon.
_LEARNED_ONE_OF = 16


class Shapes(Generic[Reply]):
    """Replies by the shape of their requests."""

    def __init__(self) -> None:
        self._by_length: dict[int, list[tuple[int, int, int, Reply]]] = {}
        self._bytes = 0
        self._refused = 0

    def find(self, request: bytes) -> Reply | None:
        """Find the reply to a request that differs from a known one in nothing that counts."""
        shapes = self._by_length.get(len(request))
        if shapes:
            number = int.from_bytes(request, "little")
            for known, ones, others, reply in shapes:
                if not (number ^ known) & ones and unprintable(request) == others:
                    return reply
        return None

    def learn(self, request: bytes, reply: Reply) -> None:
        """Store a request's shape.

        Args:
            request: A whole head of printable lines.
            reply: The reply to its key.
        """
        shapes = self._by_length.get(len(request), [])
        full = self._bytes + 2 * len(request) > _MAX_BYTES
        if full or len(shapes) >= _MAX_A_LENGTH:
            self._refused += 1
            if self._refused % _LEARNED_ONE_OF:
                return
            if full:
                self.clear()
                shapes = []
            else:
                shapes.pop()
                self._bytes -= 2 * len(request)
        number, ones = int.from_bytes(request, "little"), int.from_bytes(mask(request), "little")
        shapes.insert(0, (number, ones, unprintable(request), reply))
        self._by_length[len(request)] = shapes
        self._bytes += 2 * len(request)

    def clear(self) -> None:
        """Forget everything."""
        self._by_length.clear()
        self._bytes = 0


def unprintable(request: bytes) -> int:
    """Count the bytes that are not printable ASCII."""
    return len(request.translate(None, _PRINTABLE))
