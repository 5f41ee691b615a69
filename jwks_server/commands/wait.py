"""wait KID URL...: until every replica behind every URL serves a key: the gate between publishing and signing."""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime

import click

from jwks_server.commands import output
from jwks_server.commands.progress import Progress
from jwks_server.errors import ConfigError, WaitTimeout
from jwks_server.keys.instants import utc
from jwks_server.options.declare import YEAR_SECONDS, finite
from jwks_server.options.shared import json_option, propagation_option
from jwks_server.remote import client
from jwks_server.remote.gate import Gate, Replica, Sight
from jwks_server.remote.replicas import Replicas

_TICK_SECONDS = 1.0
_EPILOG = """A replica is an address (A or AAAA) behind a URL's host. Names are resolved anew in every round, and each
address is asked with the URL's host name. One that can't be reached counts neither as serving the key nor as being
without it.

With --safe, verifiers that have cached the set are waited for too: from when this command first saw every replica
serve the key, or from --published-at, for the longest max-age that was answered and --propagation.

Exit code 0: it is so. 1: the time was over. 2: the command is called wrongly. 130: interrupted."""


def _instant(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise click.BadParameter(f"{value} is no time with its offset; write, for example, 2026-11-24T08:00:00Z.")
    if instant.timestamp() > time.time() + YEAR_SECONDS:
        raise click.BadParameter(f"{value} is more than a year ahead; mend it.")
    return instant.timestamp()


class _Command(click.Command):
    """A command whose argument may begin with a dash, as one thumbprint in 64 does; so it has no short options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let the usual -h stand for --help, since no kid is so short."""
        return super().parse_args(ctx, ["--help"] if "-h" in args else args)


@click.command(
    name="wait",
    cls=_Command,
    epilog=_EPILOG,
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},
)
@click.argument("kid")
@click.argument("urls", metavar="URL...", nargs=-1, required=True)
@click.option("--gone", is_flag=True, help="Wait until no replica serves the key any more.")
@click.option("--safe", is_flag=True, help="Wait until signing with the key is safe.")
@propagation_option
@click.option("--published-at", callback=_instant, metavar="TIME", help="With --safe, count from this time.")
@click.option(
    "--interval",
    default=1.0,
    type=click.FloatRange(0.01, 3600),
    callback=finite,
    show_default=True,
    metavar="SECONDS",
    help="The pause between two rounds of questions.",
)
@click.option(
    "--timeout",
    default=1800.0,
    type=click.FloatRange(0.01, YEAR_SECONDS),
    callback=finite,
    show_default=True,
    metavar="SECONDS",
    help="Give up after this long.",
)
@json_option
def command(  # noqa: PLR0913 - one parameter an option
    *,
    kid: str,
    urls: tuple[str, ...],
    gone: bool,
    safe: bool,
    propagation: float,
    published_at: float | None,
    interval: float,
    timeout: float,
    as_json: bool,
) -> None:
    """Wait until every replica behind each URL, the address of a JWK Set, serves the key KID."""
    if gone and safe:
        raise ConfigError("--safe is about signing with a key and --gone about one that is no longer used; choose one.")
    if published_at is not None and not safe:
        raise ConfigError("--published-at says from when --safe counts; give both.")
    gate = Gate(gone=gone, propagation=propagation if safe else None, published_at=published_at)
    replicas = Replicas(kid, [client.parse_url(url) for url in urls])
    try:
        with Progress(gate, timeout) as progress:
            opened = asyncio.run(_until_open(gate, replicas, progress, interval=interval, limit=timeout))
        if not opened:
            raise _timeout(gate, timeout)
    finally:
        if as_json:
            output.document(_document(gate, kid))
    if not as_json:
        word = "gone from" if gone else "safe to sign with, and served by" if safe else "served by"
        output.line(f"{kid} is {word} {len(gate.sights)} of {len(gate.sights)} replicas.")


async def _until_open(gate: Gate, replicas: Replicas, progress: Progress, *, interval: float, limit: float) -> bool:
    """Ask until the gate opens; tell whether it did in time, within ``limit`` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit

    def arrived(sights: Mapping[Replica, Sight]) -> None:
        gate.glimpse(sights)
        progress.show(time.time())

    ticking = asyncio.create_task(_tick(progress))
    try:
        while loop.time() < deadline:
            sights = await replicas.ask(deadline, arrived)
            now = time.time()
            gate.take(sights, now)
            progress.show(now)
            if gate.opens_at is not None and gate.opens_at <= now:
                return True
            await asyncio.sleep(max(0, min(interval, deadline - loop.time())))
    finally:
        ticking.cancel()
    return False


async def _tick(progress: Progress) -> None:
    """Let the time that is left go down, and those who are silent be seen, while an answer is waited for."""
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        progress.show(time.time(), silent=True)


def _timeout(gate: Gate, timeout: float) -> WaitTimeout:
    if gate.opens_at is not None:
        return WaitTimeout(f"After {timeout:g} s it is safe only from {utc(gate.opens_at)}; raise --timeout.")
    faults = "; ".join(f"{replica}: {sight}" for replica, sight in sorted(gate.waiting.items(), key=_first))
    return WaitTimeout(f"After {timeout:g} s not every replica is as wanted: {faults}.")


def _first(item: tuple[Replica, Sight]) -> Replica:
    return item[0]


def _document(gate: Gate, kid: str) -> Mapping[str, object]:
    replicas = [
        {"url": replica.url, "address": replica.address, "serves": sight.serves, "reason": sight.reason}
        for replica, sight in sorted(gate.sights.items(), key=_first)
    ]
    times = {"since": gate.since, "opens_at": gate.opens_at}
    return {
        "kid": kid,
        "replicas": replicas,
        **{name: None if instant is None else utc(instant) for name, instant in times.items()},
    }
