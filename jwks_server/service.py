"""serve(settings): wires the parts, owns the tasks, the signals and the shutdown."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from functools import partial

import aiohttp.http_parser
import structlog

from jwks_server.catalog import Catalog
from jwks_server.config import Loop, Settings
from jwks_server.errors import ListenError, ParserMissing, TaskDied
from jwks_server.keys.keyset import KeySet
from jwks_server.serving import listeners, public
from jwks_server.serving.memory import Memory
from jwks_server.serving.representation import Representation, render
from jwks_server.source.directory import Directory
from jwks_server.source.reload import Reloader
from jwks_server.source.state import StateFile
from jwks_server.source.triggers import Trigger, Triggers
from jwks_server.source.watch import watch

_FIRST_LOAD_SECONDS = 5.0

_log = structlog.get_logger(__name__)


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ListenError: An address can't be listened on.
        TaskDied: A background task ended.
        ParserMissing: aiohttp would parse requests in Python.
    """
    if aiohttp.http_parser.HttpRequestParser is aiohttp.http_parser.HttpRequestParserPy:
        raise ParserMissing("aiohttp's parser in C is switched off or missing; unset AIOHTTP_NO_EXTENSIONS.")
    with asyncio.Runner(loop_factory=_loop_factory(settings.loop)) as runner:
        runner.run(serve(settings))


async def serve(settings: Settings) -> None:
    """As ``run``, in a running event loop."""
    stop = asyncio.Event()
    triggers = Triggers()
    _handle_signals(stop, triggers)
    catalog = Catalog[Representation]()
    directory = Directory(
        settings.directory,
        settings.patterns,
        passphrase=settings.passphrase,
        passphrase_file=settings.passphrase_file,
    )

    def pages(keyset: KeySet, max_age: int) -> Mapping[str, Representation]:
        return {settings.path: render(keyset, max_age, settings.media_type)}

    reloader = Reloader(
        directory,
        settings.policy,
        catalog,
        pages,
        timing=settings.timing,
        state=StateFile(settings.state) if settings.state else None,
    )
    app = public.application(catalog, settings.path)
    try:
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(_for_ever(partial(reloader.run, triggers)), name="reload"),
                tasks.create_task(_for_ever(partial(_watch, directory, reloader, triggers)), name="watch"),
            ]
            # A client that comes before the keys would get a 503; but a directory that hangs must not keep us silent.
            if not await _first_of(stop, reloader.started, within=_FIRST_LOAD_SECONDS):
                async with listeners.listening(app, settings.binds, Memory(catalog) if settings.fast_path else None):
                    await stop.wait()
                    _log.info("stopping")
            for task in background:
                task.cancel()
    except* (TaskDied, ListenError) as failed:
        raise failed.exceptions[0] from None
    _log.info("stopped")


def _handle_signals(stop: asyncio.Event, triggers: Triggers) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, triggers.put, Trigger.SIGHUP)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


async def _first_of(stop: asyncio.Event, ready: asyncio.Event, within: float) -> bool:
    """Wait until either is set or the seconds are over; tell whether it is time to stop."""
    waits = {asyncio.create_task(event.wait()) for event in (stop, ready)}
    await asyncio.wait(waits, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    for task in waits:
        task.cancel()
    return stop.is_set()


async def _watch(directory: Directory, reloader: Reloader[Representation], triggers: Triggers) -> None:
    async for trigger in watch(directory.path, lambda: reloader.pause, directory.wants):
        triggers.put(trigger)


async def _for_ever(work: Callable[[], Coroutine[object, object, None]]) -> None:
    """Run a background task; if it ever ends by itself, so does the process."""
    task = asyncio.current_task()
    name = task.get_name() if task else ""
    try:
        await work()
    except Exception as exc:
        _log.error("task-died", code=TaskDied.code, task=name, reason=type(exc).__name__, exc_info=exc)
        raise TaskDied(f"The task {name} failed; start with --log-level debug and report this.") from exc
    raise TaskDied(f"The task {name} ended; start with --log-level debug and report this.")


def _loop_factory(loop: Loop) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if loop == "asyncio" or sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - there is none on Windows

    return uvloop.new_event_loop
