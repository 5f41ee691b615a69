"""The access log: one line for each answer, from the fast path too."""

import structlog

from jwks_server.counts import Way

_log = structlog.get_logger(__name__)


def log(remote: str, request: bytes, status: int, size: int, way: Way) -> None:
    """Log an answer.

    Args:
        remote: The client's address.
        request: The request's head; empty where what came was none.
        status: The status code.
        size: The bytes of the reply.
        way: How the answer was made.
    """
    method, _, rest = request.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    target = rest.rpartition(" ")[0]
    _log.info("request", remote=remote, method=method, target=target, status=status, bytes=size, path=way)
