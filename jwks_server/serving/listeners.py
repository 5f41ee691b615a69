"""Sockets that accept connections, and how they end without losing one."""

import asyncio
import ctypes
import os
import socket
import stat
import struct
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from jwks_server.address import Address, AnyAddress, Descriptor, UnixAddress
from jwks_server.config import Listening
from jwks_server.errors import ListenError

# asyncio's own loop accepts so many before it does anything else.
_ACCEPTED_AT_ONCE = 32
# From the first packet of a connection to its last: what had begun when new ones were shut out.
_HANDSHAKE_SECONDS = 0.1
_SO_ATTACH_FILTER = 26
# Classic BPF: load the TCP flags, keep SYN and ACK, drop the packet where only SYN is set, let all else pass.
_NO_NEW_CONNECTION = (
    (0x30, 0, 0, 13),
    (0x54, 0, 0, 0x12),
    (0x15, 0, 1, 0x02),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFFFFFF),
)

_log = structlog.get_logger(__name__)

Factory = Callable[[], asyncio.Protocol]


@asynccontextmanager
async def listening(
    factory: Factory, address: AnyAddress, how: Listening, *, name: str, backlog: int
) -> AsyncIterator[None]:
    """Accept connections at an address until the context ends; then take in those that the kernel has accepted.

    Args:
        factory: Makes the protocol of a connection.
        address: Where to listen.
        how: How to.
        name: The listener's name, for the log.
        backlog: How many connections wait in the kernel.

    Raises:
        ListenError: The address is taken, isn't this machine's, isn't permitted, or is no listening socket.
    """
    try:
        server = await _server(factory, address, how)
    except socket.gaierror as exc:
        raise ListenError(f"{address} can't be listened on: no such host; choose another with --bind.") from exc
    except OSError as exc:
        reason = os.strerror(exc.errno) if exc.errno else str(exc)
        raise ListenError(f"{address} can't be listened on ({reason}); choose another with --bind.") from exc
    listeners = [socket.socket(fileno=os.dup(one.fileno())) for one in server.sockets]
    for listener in listeners:
        listener.listen(backlog)
        _log.info("listening", address=_name(listener, address), listener=name)
    try:
        yield
    finally:
        await _stop(server, listeners, factory, address)


async def _server(factory: Factory, address: AnyAddress, how: Listening) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    match address:
        case Address(host, port):
            reuse = how.reuse_port or None
            return await loop.create_server(factory, host, port, backlog=_ACCEPTED_AT_ONCE, reuse_port=reuse)
        case UnixAddress(path):
            return await loop.create_unix_server(
                factory, sock=_unix_socket(str(path), how.unix_mode), backlog=_ACCEPTED_AT_ONCE
            )
        case Descriptor(number):
            inherited = socket.socket(fileno=os.dup(number))
            if inherited.type != socket.SOCK_STREAM or not inherited.getsockopt(
                socket.SOL_SOCKET, socket.SO_ACCEPTCONN
            ):
                raise OSError(f"descriptor {number} is no listening socket")
            inherited.setblocking(False)  # noqa: FBT003 - the standard library's own signature
            if inherited.family == socket.AF_UNIX:
                return await loop.create_unix_server(factory, sock=inherited, backlog=_ACCEPTED_AT_ONCE)
            return await loop.create_server(factory, sock=inherited, backlog=_ACCEPTED_AT_ONCE)


def _unix_socket(path: str, mode: int) -> socket.socket:
    """Make a unix socket; one that a dead process has left is in nobody's way."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode) and not _is_alive(path):  # noqa: PTH116 - no pathlib on this side
            os.unlink(path)  # noqa: PTH108 - as above
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.bind(path)
        os.chmod(path, mode)  # noqa: PTH101 - as above; nobody can connect before it listens
    except OSError:
        listener.close()
        raise
    return listener


def _is_alive(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
    return True


def _name(listener: socket.socket, address: AnyAddress) -> str:
    if isinstance(address, UnixAddress) or listener.family == socket.AF_UNIX:
        return f"unix:{listener.getsockname()}"
    host, port, *_ = listener.getsockname()
    return str(Address(host, port))


async def _stop(server: asyncio.Server, listeners: list[socket.socket], factory: Factory, address: AnyAddress) -> None:
    """Shut new connections out, take in those that had begun, and close.

    A connection that the kernel has accepted and that nobody takes in would be reset. A socket that was handed down
    stays open in whoever handed it down, and is left as it is.
    """
    if isinstance(address, Address) and sys.platform == "linux":
        for listener in listeners:
            _shut_out(listener)
        await asyncio.sleep(_HANDSHAKE_SECONDS)
    elif isinstance(address, UnixAddress):
        with suppress(FileNotFoundError):
            os.unlink(address.path)  # noqa: PTH108 - as above
    server.close()
    for listener in listeners:
        if not isinstance(address, Descriptor):
            await _take_in(listener, factory)
        listener.close()


def _shut_out(listener: socket.socket) -> None:
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in _NO_NEW_CONNECTION)
    code = ctypes.create_string_buffer(program)
    with suppress(OSError):  # a kernel without: a connection that comes in this very moment may be reset
        listener.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(_NO_NEW_CONNECTION), ctypes.addressof(code))
        )


async def _take_in(listener: socket.socket, factory: Factory) -> None:
    listener.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    waiting = []
    with suppress(BlockingIOError):
        while True:
            waiting.append(listener.accept()[0])
    loop = asyncio.get_running_loop()
    for connection in waiting:
        await loop.connect_accepted_socket(factory, connection)
