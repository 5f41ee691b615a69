"""serve(settings): connects the parts, and owns the tasks, the signals and the shutdown."""

import asyncio
import gc
import os
import platform
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp.http_parser
import structlog
import uvloop

from jwks_server import __version__, signals, systemd
from jwks_server.errors import ListenError, ParserMissing, TaskDied
from jwks_server.logs import Seldom
from jwks_server.options.settings import Loop, Settings
from jwks_server.options.variables import CODE, Unknown
from jwks_server.published.catalog import Catalog
from jwks_server.published.pages import Endpoint
from jwks_server.serving import admin, public
from jwks_server.serving.access import AccessLog
from jwks_server.serving.announcement import announce
from jwks_server.serving.certificate import Certificate
from jwks_server.serving.connections import Connections
from jwks_server.serving.descriptors import room_for_connections
from jwks_server.serving.freed_memory import keep_one_heap
from jwks_server.serving.listeners import Listener
from jwks_server.serving.response_cache import ResponseCache
from jwks_server.serving.site import opened, prepared, taken
from jwks_server.serving.status import Reported
from jwks_server.signals import Ending
from jwks_server.source.clock import Clock
from jwks_server.source.directory import Directory
from jwks_server.source.passphrase import passphrase
from jwks_server.source.reload import Reloader
from jwks_server.source.state import StateFile
from jwks_server.source.triggers import Trigger, Triggers
from jwks_server.source.watch import watch
from jwks_server.stats import Reloads, Traffic
from jwks_server.tasks import first_of, run_until_cancelled
from jwks_server.threads import in_thread

_FIRST_LOAD_SECONDS = 5.0
_ADMIN_CONNECTIONS = 32
_ADMIN_SHUTDOWN_SECONDS = 1.0
# What the end takes beside the waits for clients: the admin listener, the tasks, the last log lines.
_ENDING_SECONDS = 5.0

_log = structlog.get_logger(__name__)
_seldom = Seldom(_log)


def run(settings: Settings, changed: str = "", ignored: Sequence[Unknown] = ()) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: What to serve, and how.
        changed: The options that are not at their defaults, for the log.
        ignored: The environment variables that have no effect.

    Raises:
        ListenError: An address can't be listened on.
        TaskDied: A background task ended.
        ConfigError: The passphrase can't be read, or there can't be so many connections.
        ParserMissing: aiohttp would parse requests in Python.
        TlsInvalid: The certificate and its key can't be used.
    """
    if aiohttp.http_parser.HttpRequestParser is aiohttp.http_parser.HttpRequestParserPy:
        raise ParserMissing("aiohttp's parser in C is switched off or missing; unset AIOHTTP_NO_EXTENSIONS.")
    how = settings.listening
    with (
        taken(how.admin, replace(how, reuse_port=False), name="admin") as admin_listeners,
        taken(how.public, how, name="public") as listeners,
    ):
        limits = replace(settings.limits, max_connections=room_for_connections(settings.limits.max_connections))
        settings = replace(settings, limits=limits, passphrase=passphrase(settings.passphrase_file))
        keep_one_heap()
        _log_start(settings.directory, changed)
        _log_unknown_variables(ignored)
        gc.freeze()  # what the imports created stays, so that no collection needs to visit it
        with asyncio.Runner(loop_factory=_loop_factory(settings.loop)) as runner:
            runner.run(serve(settings, listeners, admin_listeners))
    signals.ignore()


def _log_start(directory: Path, changed: str) -> None:
    """Log what starts, once the settings are known to be possible: a wrong usage is one sentence."""
    _log.info(
        "starting",
        version=__version__,
        python=platform.python_version(),
        directory=str(directory.absolute()),
        settings=changed,
    )


def _log_unknown_variables(variables: Iterable[Unknown]) -> None:
    """Log the environment variables that have no effect."""
    for one in variables:
        _log.warning("variable-ignored", code=CODE, variable=one.name, nearest=one.nearest, reason=one.reason)


async def serve(settings: Settings, listeners: Sequence[Listener], admin_listeners: Sequence[Listener]) -> None:
    """Do what ``run`` does, in a running event loop.

    Args:
        settings: What to serve, and how.
        listeners: The public addresses, which are taken.
        admin_listeners: The admin listener's.
    """
    asyncio.get_running_loop().set_exception_handler(_report_faults)
    ending, triggers = Ending(), Triggers()

    def reload() -> None:
        if not ending.asked.is_set():
            systemd.reloading()
            triggers.put(Trigger.SIGHUP)

    signals.handle(ending, reload)
    how = settings.listening
    catalog, reloads, traffic = Catalog(), Reloads(), Traffic()
    clock = Clock()
    cache = ResponseCache(catalog, traffic, settings.limits, clock) if settings.response_cache else None
    certificate = await in_thread(partial(Certificate, str(how.tls_cert), str(how.tls_key))) if how.tls_cert else None
    directory = Directory(
        settings.directory,
        settings.patterns,
        passphrase=settings.passphrase,
        passphrase_file=settings.passphrase_file,
    )
    reloaded = asyncio.Event()
    reloader = _reloader(settings, directory, catalog, reloads, reloaded, clock)
    app = public.application(catalog, settings.path, clock)
    log_access = AccessLog(how.trusted_proxies).log if how.access_log else None
    failures: tuple[BaseException, ...] = ()
    try:
        async with (
            asyncio.TaskGroup() as tasks,
            prepared(app, settings.limits, traffic, cache=cache, log_access=log_access) as connections,
            prepared(
                admin.application(
                    Reported(catalog, reloads, connections, certificate),
                    how.admin_hosts,
                    per_issuer=how.metrics_per_issuer,
                    stopping=ending.asked,
                ),
                replace(settings.limits, max_connections=_ADMIN_CONNECTIONS),
                Traffic(),
                private=True,
            ) as admin_connections,
        ):
            work: dict[str, Callable[[], Coroutine[object, object, None]]] = {
                "reload": partial(reloader.run, triggers),
                "watch": partial(_watch, directory, reloader, triggers),
                "state": reloader.state.run,
                "deadlines": connections.keep_deadlines,
                "admin-deadlines": admin_connections.keep_deadlines,
                "reload-report": partial(_report_reloads, reloaded, certificate),
                "watchdog": systemd.keep_watchdog,
                **({"certificate": certificate.follow} if certificate else {}),
            }
            background = [tasks.create_task(run_until_cancelled(one), name=name) for name, one in work.items()]
            async with opened(admin_connections, admin_listeners, shutdown_timeout=_ADMIN_SHUTDOWN_SECONDS):
                # Before the first load every answer would be a 503; but a directory that hangs must not delay clients.
                if not await first_of(ending.asked, reloader.started, within=_FIRST_LOAD_SECONDS):
                    async with opened(
                        connections, listeners, shutdown_timeout=how.shutdown_timeout, certificate=certificate
                    ):
                        systemd.ready()
                        tls = certificate is not None
                        announce(catalog.current, listeners, admin_listeners, settings.path, tls=tls)
                        await ending.asked.wait()
                        _log.info("stopping", drain=how.drain, connections=len(connections))
                        systemd.stopping(how.drain + how.shutdown_timeout + _ENDING_SECONDS)
                        connections.drain()
                        tasks.create_task(_cut(ending, connections), name="cut")
                        await ending.pause(how.drain)
                        admin_connections.finishing = True
                    ending.over.set()
            await reloader.state.finish()
            for task in background:
                task.cancel()
    except* (TaskDied, ListenError) as failed:
        failures = failed.exceptions
    if failures:  # raised inside except*, Python 3.11.2 would wrap it in a group again
        raise failures[0] from None
    _log.info("stopped")


def _reloader(  # noqa: PLR0913, PLR0917 - the parts that it ties together
    settings: Settings,
    directory: Directory,
    catalog: Catalog,
    reloads: Reloads,
    reloaded: asyncio.Event,
    clock: Clock,
) -> Reloader:
    async def done(triggers: frozenset[Trigger]) -> None:
        if Trigger.SIGHUP in triggers:
            reloaded.set()

    state = StateFile(settings.state) if settings.state else None
    return Reloader(
        directory,
        settings.policy,
        catalog,
        Endpoint(settings.path, settings.media_type),
        timing=settings.timing,
        state=state,
        reloads=reloads,
        done=done,
        clock=clock,
    )


async def _report_reloads(reloaded: asyncio.Event, certificate: Certificate | None) -> None:
    """Tell systemd that a reload has finished, once the certificate was read again too; this never returns.

    The certificate's disk may hang, which must not delay the keys; so this is a task of its own.
    """
    while True:
        await reloaded.wait()
        reloaded.clear()
        if certificate:
            await certificate.reload()
        systemd.ready()


async def _cut(ending: Ending, connections: Connections) -> None:
    """At the second signal, close what is open; end when nothing is left to cut."""
    if not await first_of(ending.over, ending.at_once, within=None):
        _log.warning("stopping-at-once", connections=len(connections))
        connections.cut()


def _report_faults(loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Log a failed callback, at most once in a while: a client may be able to cause failures again and again."""
    del loop
    exc = context.get("exception")
    _seldom.error("callback-failed", message=context["message"], reason=type(exc).__name__, exc_info=exc)


async def _watch(directory: Directory, reloader: Reloader, triggers: Triggers) -> None:
    async for hint in watch(directory.path, reloader.rescan, directory.wants):
        triggers.put(hint.trigger, hint.issuer, hint.file)


def _loop_factory(loop: Loop) -> Callable[[], asyncio.AbstractEventLoop] | None:
    # libuv would enter io_uring for each new connection, to make one call that costs less alone.
    os.environ.setdefault("UV_USE_IO_URING", "0")
    return None if loop == "asyncio" else uvloop.new_event_loop
