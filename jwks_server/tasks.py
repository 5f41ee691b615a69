"""Background tasks, which end only when they are cancelled, and what the server waits for."""

import asyncio
from collections.abc import Callable, Coroutine

import structlog

from jwks_server.errors import TaskDied

_log = structlog.get_logger(__name__)


async def run_until_cancelled(work: Callable[[], Coroutine[object, object, None]]) -> None:
    """Run a background task; if it ends by itself, the process ends."""
    task = asyncio.current_task()
    name = task.get_name() if task else ""
    try:
        await work()
    except Exception as exc:
        _log.error("task-died", code=TaskDied.code, task=name, reason=type(exc).__name__, exc_info=exc)
        raise TaskDied(f"The task {name} failed; start with --log-level debug and report this.") from exc
    raise TaskDied(f"The task {name} ended; start with --log-level debug and report this.")


async def first_of(stop: asyncio.Event, ready: asyncio.Event, within: float | None) -> bool:
    """Wait until either event is set or the time is over; return whether to stop."""
    waits = {asyncio.create_task(event.wait()) for event in (stop, ready)}
    await asyncio.wait(waits, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    for task in waits:
        task.cancel()
    return stop.is_set()
