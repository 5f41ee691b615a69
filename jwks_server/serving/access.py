"""The access log: one line for each answer, from the response cache too."""

import structlog

from jwks_server.stats import ServedBy

_log = structlog.get_logger(__name__)


def log(remote: str, request: bytes, status: int, size: int, served_by: ServedBy) -> None:
    """Log an answer.

    Args:
        remote: The client's address.
        request: The request's head; empty if the data was not a request.
        status: The status code.
        size: The size of the reply in bytes.
        served_by: ``cache`` or ``application``.
    """
    method, _, rest = request.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    target = rest.rpartition(" ")[0]
    _log.info("request", remote=remote, method=method, target=target, status=status, bytes=size, served_by=served_by)
