"""Sockets that are bound, and don't accept connections yet."""

import errno
import os
import socket
import stat
from collections.abc import Sequence
from contextlib import suppress

from jwks_server.address import Address, AnyAddress, Descriptor, UnixAddress
from jwks_server.options.settings import Listening


def taken(address: AnyAddress, how: Listening) -> Sequence[socket.socket]:
    """Take an address, and refuse connections to it until somebody listens there.

    Of a unix socket's path it is only found out whether it is in use, and no socket is returned: a bound socket that
    doesn't listen is how a dead process leaves one, and would be removed as such.

    Raises:
        OSError: The address is in use, not local, not permitted, or not a listening socket.
    """
    match address:
        case Address(host, port):
            return _tcp(host, port, reuse_port=how.reuse_port)
        case UnixAddress(path):
            _refuse_used(str(path))
            os.stat(path.parent)  # noqa: PTH116 - the serving side does not import pathlib
            return ()
        case Descriptor(number):
            return (_inherited(number),)


def unix(path: str, mode: int) -> socket.socket:
    """Create a unix socket; a socket file that a dead process left is removed.

    Raises:
        OSError: The path can't be used.
    """
    if _refuse_used(path):
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - the serving side does not import pathlib
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.bind(path)
        os.chmod(path, mode)  # noqa: PTH101 - as above; no client can connect before it listens
    except OSError:
        listener.close()
        raise
    return listener


def _tcp(host: str, port: int, *, reuse_port: bool) -> Sequence[socket.socket]:
    """Bind each address of a host; a family that the kernel doesn't have is passed over if another one is there."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                one = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
            except OSError as exc:
                if exc.errno != errno.EAFNOSUPPORT:
                    raise
                continue
            bound.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
    except OSError:
        for one in bound:
            one.close()
        raise
    if not bound:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    return bound


def _inherited(number: int) -> socket.socket:
    inherited = socket.socket(fileno=os.dup(number))
    os.close(number)  # the parent process keeps its own copy if it needs one
    if inherited.type != socket.SOCK_STREAM or not inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        inherited.close()
        raise OSError(f"descriptor {number} is not a listening socket")
    inherited.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    return inherited


def _refuse_used(path: str) -> bool:
    """Report whether a dead process has left a socket file at a path; refuse a path that something else has.

    Raises:
        OSError: The path is in use, or can't be read.
    """
    try:
        is_socket = stat.S_ISSOCK(os.stat(path).st_mode)  # noqa: PTH116 - as above
    except FileNotFoundError:
        return False
    if not is_socket or _is_alive(path):
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    return True


def _is_alive(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except BlockingIOError:  # its queue is full
            return True
    return True
