"""Sockets that accept connections, and how they end without losing one."""

import asyncio
import ctypes
import os
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import structlog

from jwks_server.address import Address, AnyAddress, UnixAddress
from jwks_server.errors import ListenError
from jwks_server.options.settings import Listening
from jwks_server.serving import sockets
from jwks_server.text import reason

# asyncio's own event loop accepts so many connections before it does anything else.
_ACCEPTED_AT_ONCE = 32
# How long the handshakes that had begun when new connections were shut out may take.
_HANDSHAKE_SECONDS = 0.1
# How long the kernel's queue is accepted from, at most; and how long to wait for a free descriptor.
_TAKE_IN_SECONDS = 5.0
_FULL_SECONDS = 0.01
_SO_ATTACH_FILTER = 26
# Classic BPF: load the TCP flags, mask SYN and ACK, drop the packet if only SYN is set, accept all others.
_NO_NEW_CONNECTION = (
    (0x30, 0, 0, 13),
    (0x54, 0, 0, 0x12),
    (0x15, 0, 1, 0x02),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFFFFFF),
)

_log = structlog.get_logger(__name__)

Factory = Callable[[], asyncio.Protocol]


class Listener:
    """An address at which connections are accepted. It is taken at once, so that nothing begins if that fails.

    Args:
        address: Where to listen.
        how: How to listen.
        name: The listener's name, for the log.

    Raises:
        ListenError: The address is in use, not local, not permitted, or not a listening socket.
    """

    def __init__(self, address: AnyAddress, how: Listening, *, name: str) -> None:
        self._address = address
        self._how = how
        self._name = name
        self._servers: list[asyncio.Server] = []
        with self._failing():
            self._sockets = sockets.taken(address, how)

    @property
    def names(self) -> Sequence[str]:
        """The addresses that it is open at: with the port that the kernel chose, and each of a host name's."""
        return [_name(one, self._address) for one in self._sockets]

    async def open(self, factory: Factory, backlog: int) -> None:
        """Start to accept.

        Args:
            factory: Makes the protocol of a connection.
            backlog: How many connections wait in the kernel.

        Raises:
            ListenError: The address is in use by now.
        """
        with self._failing():
            if isinstance(self._address, UnixAddress):
                self._sockets = [sockets.unix(str(self._address.path), self._how.unix_mode)]
            for one in self._sockets:
                one.listen(backlog)  # uvloop would not report that it fails
                self._servers.append(await _server(factory, one))
                one.listen(backlog)  # the event loop has set its own
        for name in self.names:
            _log.info("listening", address=name, listener=self._name)

    def leave(self) -> None:
        """Give up the address, if it isn't open."""
        for one in self._sockets:
            one.close()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        flag = "--admin-bind" if self._name == "admin" else "--bind"
        try:
            yield
        except socket.gaierror as exc:
            message = f"{self._address} can't be listened on: no such host; choose another with {flag}."
            raise ListenError(message) from exc
        except OSError as exc:
            message = f"{self._address} can't be listened on ({reason(exc)}); choose another with {flag}."
            raise ListenError(message) from exc

    async def close(self, factory: Factory) -> None:
        """Shut out new connections, accept those that had begun, and close.

        The kernel resets a connection in its queue that is not accepted. New connections can't be shut out of an
        inherited socket, because other processes may use it too.

        Args:
            factory: Makes the protocol of a connection.
        """
        if not self._servers:
            return
        loop = asyncio.get_running_loop()
        for server in self._servers:
            for one in server.sockets:
                loop.remove_reader(one.fileno())  # asyncio's own event loop loses connections that arrive meanwhile
        if isinstance(self._address, UnixAddress):
            with suppress(FileNotFoundError):
                os.unlink(self._address.path)  # noqa: PTH108 - the serving side does not import pathlib
        elif isinstance(self._address, Address):
            for listener in self._sockets:
                _shut_out(listener)
        await asyncio.sleep(_HANDSHAKE_SECONDS)
        for server in self._servers:
            server.close()
        for listener in self._sockets:
            await _take_in(listener, factory)
            listener.close()


async def _server(factory: Factory, listener: socket.socket) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    create = loop.create_unix_server if listener.family == socket.AF_UNIX else loop.create_server
    own = socket.socket(fileno=os.dup(listener.fileno()))  # the event loop closes it
    try:
        return await create(factory, sock=own, backlog=_ACCEPTED_AT_ONCE)
    except OSError:
        own.close()
        raise


def _name(listener: socket.socket, address: AnyAddress) -> str:
    if isinstance(address, UnixAddress) or listener.family == socket.AF_UNIX:
        return f"unix:{listener.getsockname()}"
    host, port, *_ = listener.getsockname()
    return str(Address(host, port))


def _shut_out(listener: socket.socket) -> None:
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in _NO_NEW_CONNECTION)
    code = ctypes.create_string_buffer(program)
    with suppress(OSError):  # without filters in the kernel, a connection that arrives at this moment may be reset
        listener.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(_NO_NEW_CONNECTION), ctypes.addressof(code))
        )


async def _take_in(listener: socket.socket, factory: Factory) -> None:
    """Accept the queued connections one by one; without a free descriptor, wait until a connection has ended."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _TAKE_IN_SECONDS
    while loop.time() < until:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError:  # out of descriptors, or the client has closed the connection
            await asyncio.sleep(_FULL_SECONDS)
            continue
        connection.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        with suppress(OSError):
            await loop.connect_accepted_socket(factory, connection)
