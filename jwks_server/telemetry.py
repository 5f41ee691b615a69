"""Logs: one line an event, for people or for machines, on standard error."""

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat = Literal["console", "json"]


def configure(log_format: LogFormat, log_level: str) -> None:
    """Send this program's and its libraries' log lines to standard error.

    Args:
        log_format: ``console`` for people, ``json`` for machines.
        log_level: The least level that is written: debug, info, warning, error.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_traceback,
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
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(log_level.upper())
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it counts its events, which say nothing
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _without_traceback(logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep a traceback for those who ask for debug lines; all others get the exception's type."""
    if logger is None or not logger.isEnabledFor(logging.DEBUG):
        exc_info = event.pop("exc_info", None)
        if isinstance(exc_info, tuple) and exc_info[0]:
            event.setdefault("reason", exc_info[0].__name__)
    return event
