"""serve(settings): wires the parts, owns the tasks, the signals and the shutdown."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path

import structlog

from jwks_server.catalog import Catalog
from jwks_server.config import Settings
from jwks_server.errors import TaskDied
from jwks_server.serving import listeners, public
from jwks_server.serving.representation import Representation, render
from jwks_server.source.directory import Directory
from jwks_server.source.reload import Reloader
from jwks_server.source.state import StateFile
from jwks_server.source.triggers import Trigger, Triggers
from jwks_server.source.watch import watch

_log = structlog.get_logger(__name__)


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ListenError: An address can't be listened on.
        TaskDied: A background task ended.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(settings))


async def serve(settings: Settings) -> None:
    """As ``run``, in a running event loop."""
    stop = asyncio.Event()
    triggers = Triggers()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, triggers.put, Trigger.SIGHUP)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    catalog = Catalog[Representation]()
    directory = Directory(settings.directory, settings.patterns, settings.passphrase_file)
    reloader = Reloader(
        directory,
        settings.policy,
        catalog,
        partial(render, media_type=settings.media_type),
        timing=settings.timing,
        state=StateFile(settings.state) if settings.state else None,
    )
    await reloader.reload()
    try:
        async with (
            listeners.listening(public.application(catalog, settings.path), settings.binds),
            asyncio.TaskGroup() as tasks,
        ):
            background = [
                tasks.create_task(_forever(_watch(settings.directory, reloader, triggers)), name="watch"),
                tasks.create_task(_forever(reloader.run(triggers)), name="reload"),
            ]
            await stop.wait()
            _log.info("stopping")
            for task in background:
                task.cancel()
    except* TaskDied as died:
        raise died.exceptions[0] from None
    _log.info("stopped")


async def _watch(path: Path, reloader: Reloader[Representation], triggers: Triggers) -> None:
    async for trigger in watch(path, lambda: reloader.pause):
        triggers.put(trigger)


async def _forever(work: Coroutine[object, object, None]) -> None:
    """Run a background task; if it ever ends by itself, so does the process."""
    task = asyncio.current_task()
    name = task.get_name() if task else ""
    try:
        await work
    except Exception as exc:
        _log.error("task-died", code=TaskDied.code, task=name, reason=type(exc).__name__, exc_info=exc)
        raise TaskDied(f"The task {name} failed; report this with the debug log.") from exc
    raise TaskDied(f"The task {name} ended; report this with the debug log.")


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - there is none on Windows

    return uvloop.new_event_loop
