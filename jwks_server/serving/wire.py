"""What a connection writes to: a transport of the event loop, or TLS on one."""

import fcntl
import struct
import sys
import termios
from typing import Any, Protocol


class Wire(Protocol):
    """The part of ``asyncio.Transport`` that a connection needs; every such transport is one."""

    def write(self, data: bytes) -> None:
        """Send data, now or later."""

    def write_eof(self) -> None:
        """Close the sending side once everything has been sent."""

    def close(self) -> None:
        """Close once everything has been sent."""

    def abort(self) -> None:
        """Close at once."""

    def is_closing(self) -> bool:
        """Return whether it is closed, or will be once everything has been sent."""

    def pause_reading(self) -> None:
        """Stop delivering data."""

    def resume_reading(self) -> None:
        """Deliver data again."""

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that the kernel has not taken yet."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's own signature
        """Return a fact about the socket."""


def unacknowledged(wire: Wire) -> int:
    """Return the number of bytes that the kernel has taken and the client's kernel has not, where that can be told."""
    sock = wire.get_extra_info("socket")
    if sock is None or sys.platform != "linux":
        return 0
    try:
        (number,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))
    except OSError:  # the socket is closed
        return 0
    return int(number)
