"""Sockets that accept connections, and how they end without losing one."""

import asyncio
import ctypes
import errno
import os
import socket
import stat
import struct
from collections.abc import Callable
from contextlib import suppress

import structlog

from jwks_server.address import Address, AnyAddress, Descriptor, UnixAddress
from jwks_server.errors import ListenError
from jwks_server.options.settings import Listening
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
    """An address at which connections are accepted.

    Args:
        factory: Makes the protocol of a connection.
        address: Where to listen.
    """

    def __init__(self, factory: Factory, address: AnyAddress) -> None:
        self._factory = factory
        self._address = address
        self._sockets: list[socket.socket] = []
        self._server: asyncio.Server | None = None

    async def open(self, how: Listening, *, name: str, flag: str, backlog: int) -> None:
        """Start to accept.

        Args:
            how: How to listen.
            name: The listener's name, for the log.
            flag: The option that sets its address, for the errors.
            backlog: How many connections wait in the kernel.

        Raises:
            ListenError: The address is in use, not local, not permitted, or not a listening socket.
        """
        address = self._address
        try:
            self._server = await _server(self._factory, address, how)
        except socket.gaierror as exc:
            raise ListenError(f"{address} can't be listened on: no such host; choose another with {flag}.") from exc
        except OSError as exc:
            raise ListenError(f"{address} can't be listened on ({reason(exc)}); choose another with {flag}.") from exc
        self._sockets = [socket.socket(fileno=os.dup(one.fileno())) for one in self._server.sockets]
        for one in self._sockets:
            one.listen(backlog)
            _log.info("listening", address=_name(one, address), listener=name)

    async def close(self) -> None:
        """Shut out new connections, accept those that had begun, and close.

        The kernel resets a connection in its queue that is not accepted. New connections can't be shut out of an
        inherited socket, because other processes may use it too.
        """
        if self._server is None:
            return
        loop = asyncio.get_running_loop()
        for one in self._server.sockets:
            loop.remove_reader(one.fileno())  # asyncio's own event loop loses connections that arrive while it closes
        if isinstance(self._address, UnixAddress):
            with suppress(FileNotFoundError):
                os.unlink(self._address.path)  # noqa: PTH108 - the serving side does not import pathlib
        elif isinstance(self._address, Address):
            for listener in self._sockets:
                _shut_out(listener)
        await asyncio.sleep(_HANDSHAKE_SECONDS)
        self._server.close()
        for listener in self._sockets:
            await _take_in(listener, self._factory)
            listener.close()


async def _server(factory: Factory, address: AnyAddress, how: Listening) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    match address:
        case Address(host, port):
            reuse = how.reuse_port or None
            server = await loop.create_server(factory, host, port, backlog=_ACCEPTED_AT_ONCE, reuse_port=reuse)
            if not server.sockets:  # the event loop passes over a family that the kernel doesn't have
                raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
            return server
        case UnixAddress(path):
            return await loop.create_unix_server(
                factory, sock=_unix_socket(str(path), how.unix_mode), backlog=_ACCEPTED_AT_ONCE
            )
        case Descriptor(number):
            inherited = socket.socket(fileno=os.dup(number))
            os.close(number)  # the parent process keeps its own copy if it needs one
            if inherited.type != socket.SOCK_STREAM or not inherited.getsockopt(
                socket.SOL_SOCKET, socket.SO_ACCEPTCONN
            ):
                raise OSError(f"descriptor {number} is not a listening socket")
            inherited.setblocking(False)  # noqa: FBT003 - the standard library's own signature
            if inherited.family == socket.AF_UNIX:
                return await loop.create_unix_server(factory, sock=inherited, backlog=_ACCEPTED_AT_ONCE)
            return await loop.create_server(factory, sock=inherited, backlog=_ACCEPTED_AT_ONCE)


def _unix_socket(path: str, mode: int) -> socket.socket:
    """Create a unix socket; a socket file that a dead process left is removed."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode) and not _is_alive(path):  # noqa: PTH116 - as above
            os.unlink(path)  # noqa: PTH108 - as above
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.bind(path)
        os.chmod(path, mode)  # noqa: PTH101 - as above; no client can connect before it listens
    except OSError:
        listener.close()
        raise
    return listener


def _is_alive(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except BlockingIOError:  # its queue is full
            return True
    return True


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
