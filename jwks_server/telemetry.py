"""Logs: one line an event, for people or for machines, on standard error."""

import logging
import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler, QueueListener
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat = Literal["console", "json"]

_LINES_WAITING = 10_000
_LAST_LINES_SECONDS = 1.0


class _Queue(QueueHandler):
    """Hands records to the writing thread as they are; where that can't keep up, it drops the newest."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(queue.Full):
            super().enqueue(record)


@contextmanager
def logging_to_stderr(log_format: LogFormat, log_level: str) -> Iterator[None]:
    """Send this program's and its libraries' log lines to standard error, in a thread.

    A reader of standard error that stops reading stops the log, never the server.

    Args:
        log_format: ``console`` for people, ``json`` for machines.
        log_level: The least level that is written: debug, info, warning, error.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _printable,
        structlog.processors.format_exc_info if log_level == "debug" else _without_traceback,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), sort_keys=False)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    lines: queue.Queue[logging.LogRecord] = queue.Queue(_LINES_WAITING)
    listener = QueueListener(lines, handler)
    root = logging.getLogger()
    root.handlers = [_Queue(lines)]
    root.setLevel(log_level.upper())
    logging.captureWarnings(capture=True)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it counts its events, which say nothing
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    listener.start()
    try:
        yield
    finally:
        # The last lines are waited for, but not for ever.
        stopping = threading.Thread(target=listener.stop, daemon=True)
        stopping.start()
        stopping.join(_LAST_LINES_SECONDS)


def _without_traceback(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep tracebacks for those who ask for debug lines; all others get the exception's type."""
    exc_info = event.pop("exc_info", None)
    if isinstance(exc_info, tuple) and exc_info[0]:
        event.setdefault("reason", exc_info[0].__name__)
    return event


def _printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape what could steer a terminal, or is no Unicode: any bytes may be in a file's name."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = value.encode("unicode_escape").decode("ascii")
    return event
