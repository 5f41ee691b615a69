"""Logs: one line per event on standard error, for people or for machines."""

import atexit
import io
import logging
import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler, QueueListener
from typing import Literal

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from jwks_server import console, journal, terminal
from jwks_server.text import printable

LogFormat = Literal["console", "json"]

_LINES_WAITING = 10_000
_SELDOM_SECONDS = 10.0
_LAST_LINES_SECONDS = 1.0


class _Queue(QueueHandler):
    """Passes records to the writing thread as they are; if that can't keep up, the newest are dropped."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(queue.Full):
            super().enqueue(record)


@contextmanager
def logging_to_stderr(log_format: LogFormat, log_level: str) -> Iterator[None]:
    """Send this program's and its libraries' log lines to standard error, in a thread.

    If standard error's reader stops reading, the log stops and the server goes on.

    Args:
        log_format: ``console`` for people, ``json`` for machines.
        log_level: The lowest level that is written: debug, info, warning, error.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _printable,
        structlog.processors.format_exc_info if log_level == "debug" else _without_traceback,
    ]
    renderer: Processor
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    elif sys.stderr.isatty():
        renderer = terminal.Renderer(sys.stderr)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=console.colored(sys.stderr), sort_keys=False)
    # Not sys.stderr itself: the interpreter waits for its lock at the end, and a blocked writer would hold it.
    stream = io.TextIOWrapper(
        io.FileIO(sys.stderr.fileno(), "wb", closefd=False), sys.stderr.encoding, "backslashreplace", write_through=True
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer, journal.with_priority],
        )
    )
    lines: queue.Queue[logging.LogRecord] = queue.Queue(_LINES_WAITING)
    listener = QueueListener(lines, handler)
    root = logging.getLogger()
    root.handlers = [_Queue(lines)]
    root.setLevel(log_level.upper())
    logging.captureWarnings(capture=True)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it logs a count of its events
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    listener.start()
    try:
        yield
    finally:
        # The last lines are waited for, up to a limit.
        stopping = threading.Thread(target=listener.stop, daemon=True)
        stopping.start()
        stopping.join(_LAST_LINES_SECONDS)
        if stopping.is_alive():
            atexit.unregister(logging.shutdown)  # it would wait for the blocked writer


class Seldom:
    """Logs an event at most once in a while, with the number of lines that were left out.

    Args:
        log: Where to log.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._next: dict[str, float] = {}
        self._left_out: Counter[str] = Counter()

    def info(self, event: str, **fields: object) -> None:
        """Log at level info."""
        self._say(self._log.info, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log at level warning."""
        self._say(self._log.warning, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log at level error."""
        self._say(self._log.error, event, fields)

    def _say(self, log: Callable[..., None], event: str, fields: Mapping[str, object]) -> None:
        now = time.monotonic()
        if now < self._next.get(event, now):
            self._left_out[event] += 1
            return
        self._next[event] = now + _SELDOM_SECONDS
        if left_out := self._left_out.pop(event, 0):
            fields = {**fields, "left_out": left_out}
        log(event, **fields)


def _without_traceback(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace a traceback with the exception's type; only --log-level debug shows tracebacks."""
    exc_info = event.pop("exc_info", None)
    if isinstance(exc_info, tuple) and exc_info[0]:
        event.setdefault("reason", exc_info[0].__name__)
    return event


def _printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape what is not printable in each value."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = printable(value)
    return event
