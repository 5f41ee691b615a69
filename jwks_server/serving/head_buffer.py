"""What has arrived of requests, cut into heads: each byte is looked at once, however they were cut on the way."""

from jwks_server.errors import HeadTooLarge
from jwks_server.serving.request_head import END, check_line, check_plain

_LINE_END = b"\r\n"
_BEGINNING_BYTES = 16


class HeadBuffer:
    """A connection's bytes that have no answer yet.

    The verdict on a head depends on its bytes alone: the first of them with which it can't become a head is what
    counts, whether more has arrived or not.

    Args:
        max_head: The most bytes that a head may have.
    """

    __slots__ = ("_data", "_line_checked", "_max_head", "_scanned")

    def __init__(self, max_head: int) -> None:
        self._max_head = max_head
        self._data = bytearray()
        self._scanned = 0
        self._line_checked = False

    def __len__(self) -> int:
        """Return the number of bytes that are not cut off yet."""
        return len(self._data)

    @property
    def begun(self) -> bool:
        """Whether a head has begun; empty lines do not begin one."""
        return bool(self._data.lstrip(_LINE_END))

    @property
    def beginning(self) -> bytes:
        """The first bytes that are not cut off yet."""
        return bytes(self._data[:_BEGINNING_BYTES])

    def feed(self, data: bytes) -> None:
        """Add data that has arrived."""
        self._data += data

    def cut(self) -> bytes | None:
        """Cut off the next whole head; None if its end has not arrived yet.

        Raises:
            Problem: It is too large, or the data can't become a head.
        """
        data = self._data
        if not self._scanned:
            self._skip_empty_lines()
        end = data.find(END, max(self._scanned - len(END), 0), self._max_head)
        too_large = None if end >= 0 else self._too_large_at()
        stop = end + len(END) if end >= 0 else too_large or len(data)
        if not self._line_checked:
            line_end = data.find(_LINE_END, self._scanned, stop)
            if line_end >= 0:
                self._scan(line_end + len(_LINE_END), "request-line")
                check_line(bytes(data[: self._scanned]))
                self._line_checked = True
        self._scan(stop, "field" if self._line_checked else "request-line")
        if end >= 0:
            head = bytes(data[:stop])
            del data[:stop]
            self._scanned, self._line_checked = 0, False
            return head
        if too_large:
            raise HeadTooLarge(f"A request's head may have at most {self._max_head} bytes.")
        return None

    def _too_large_at(self) -> int | None:
        """Find the number of bytes that no head within the limit begins with; None if there are not so many."""
        for number in range(max(self._max_head - len(END) + 1, 1), min(len(self._data), self._max_head) + 1):
            begun = next((size for size in (3, 2, 1) if self._data.endswith(END[:size], 0, number)), 0)
            if number + len(END) - begun > self._max_head:
                return number
        return None

    def _skip_empty_lines(self) -> None:
        """Skip what some clients send after a request (RFC 9112 section 2.2)."""
        data = self._data
        if data.startswith((b"\r", b"\n")):
            number = len(data) - len(data.lstrip(_LINE_END))
            check_plain(data[:number], "request-line")
            del data[: number // 2 * 2]

    def _scan(self, stop: int, part: str) -> None:
        """Check what has arrived since the last scan; the first half of a line end is left for the next one."""
        if stop > self._scanned:
            check_plain(self._data[self._scanned : stop], part)
            self._scanned = stop - (self._data[stop - 1] == ord("\r"))
