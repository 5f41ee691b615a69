"""wait KID URL...: wait until every replica behind every URL serves a key, before signing with it."""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime

import click

from jwks_server.commands import output
from jwks_server.commands.progress import Progress
from jwks_server.errors import ConfigError, WaitTimeout
from jwks_server.keys.instants import utc
from jwks_server.keys.policy import MAX_SECONDS
from jwks_server.options.command_line import with_options
from jwks_server.options.help import Command
from jwks_server.options.option import Argument, Group, Option, Seconds
from jwks_server.options.table import JSON, PROPAGATION
from jwks_server.remote import client
from jwks_server.remote.gate import Gate, Replica, ReplicaAnswer
from jwks_server.remote.replicas import Replicas

_TICK_SECONDS = 1.0
_EPILOG = """A replica is an address (A or AAAA) behind a URL's host. Names are resolved again in every round, and each
address gets requests with the URL's host name. A replica that can't be reached counts neither as serving the key nor
as not serving it.

With --safe, the command also waits for verifiers that have cached the set. It waits for the longest max-age of any
answer and --propagation, counted from when every replica served the key, or from --published-at."""
_EXITS = {
    0: "Every replica does what the command waits for.",
    1: "The time of --timeout is over.",
    2: "The command is called wrongly.",
}
_OPTIONS = (
    Option("--gone", Group.COMMAND, "Wait until no replica serves the key.", has_variable=False),
    Option("--safe", Group.COMMAND, "Wait until signing with the key is safe.", has_variable=False),
    PROPAGATION,
    Option(
        "--published-at",
        Group.COMMAND,
        "With --safe, count from this time, such as 2026-11-24T08:00:00Z.",
        click.STRING,
        metavar="TIME",
        has_variable=False,
    ),
    Option(
        "--interval",
        Group.COMMAND,
        "The pause between two rounds.",
        Seconds(0.01, 3600),
        1.0,
        metavar="SECONDS",
        has_variable=False,
    ),
    Option(
        "--timeout",
        Group.COMMAND,
        "Give up after this time.",
        Seconds(0.01, MAX_SECONDS),
        1800.0,
        metavar="SECONDS",
        has_variable=False,
    ),
    JSON,
)


def _instant(value: str) -> float:
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ConfigError(f"--published-at {value} has no time and offset; write, for example, 2026-11-24T08:00:00Z.")
    if instant.timestamp() > time.time() + MAX_SECONDS:
        raise ConfigError(f"--published-at {value} is more than a year ahead; correct it.")
    return instant.timestamp()


class _Command(Command):
    """A command without short options, since its argument may begin with a dash: one thumbprint in 64 does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read -h as --help, since no kid is so short."""
        return super().parse_args(ctx, ["--help"] if "-h" in args else args)


@click.command(
    name="wait",
    cls=_Command,
    epilog=_EPILOG,
    exits=_EXITS,
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},
)
@click.argument("kid", cls=Argument, metavar="KID")
@click.argument("urls", cls=Argument, metavar="URL...", nargs=-1, required=True)
@with_options(*_OPTIONS)
def command(  # noqa: PLR0913 - one parameter for each option
    *,
    kid: str,
    urls: tuple[str, ...],
    gone: bool,
    safe: bool,
    propagation: float,
    published_at: str | None,
    interval: float,
    timeout: float,
    as_json: bool,
) -> None:
    """Wait until every replica behind each URL, the address of a JWK Set, serves the key KID."""
    if gone and safe:
        raise ConfigError("--safe is for a key to sign with, and --gone for a key that is no longer used; choose one.")
    if published_at is not None and not safe:
        raise ConfigError("--published-at works only with --safe; give both.")
    counted_from = None if published_at is None else _instant(published_at)
    gate = Gate(gone=gone, propagation=propagation if safe else None, published_at=counted_from)
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
        output.line(f"{kid} is {word} {len(gate.answers)} of {len(gate.answers)} replicas.")


async def _until_open(gate: Gate, replicas: Replicas, progress: Progress, *, interval: float, limit: float) -> bool:
    """Ask until the gate opens, for ``limit`` seconds at most; tell whether it opened."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit

    def arrived(answers: Mapping[Replica, ReplicaAnswer]) -> None:
        gate.note_partial(answers)
        progress.show(time.time())

    ticking = asyncio.create_task(_tick(progress))
    try:
        while loop.time() < deadline:
            answers = await replicas.ask(deadline, arrived)
            now = time.time()
            gate.note_round(answers, now)
            progress.show(now)
            if gate.opens_at is not None and gate.opens_at <= now:
                return True
            await asyncio.sleep(max(0, min(interval, deadline - loop.time())))
    finally:
        ticking.cancel()
    return False


async def _tick(progress: Progress) -> None:
    """Show the time that is left, and the replicas that don't answer, while a round lasts."""
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        progress.show(time.time(), unanswered=True)


def _timeout(gate: Gate, timeout: float) -> WaitTimeout:
    if gate.opens_at is not None:
        return WaitTimeout(f"After {timeout:g} s it is safe only from {utc(gate.opens_at)}; raise --timeout.")
    faults = "; ".join(
        f"{replica}: {str(answer).removesuffix('.')}" for replica, answer in sorted(gate.waiting.items(), key=_first)
    )
    return WaitTimeout(f"After {timeout:g} s some replicas' answers are not as wanted: {faults}.")


def _first(item: tuple[Replica, ReplicaAnswer]) -> Replica:
    return item[0]


def _document(gate: Gate, kid: str) -> Mapping[str, object]:
    replicas = [
        {"url": replica.url, "address": replica.address, "serves": answer.serves, "reason": answer.reason}
        for replica, answer in sorted(gate.answers.items(), key=_first)
    ]
    times = {"since": gate.since, "opens_at": gate.opens_at}
    return {
        "kid": kid,
        "replicas": replicas,
        **{name: None if instant is None else utc(instant) for name, instant in times.items()},
    }
