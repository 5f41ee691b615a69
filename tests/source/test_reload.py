"""Trigger -> read -> build -> publish."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from structlog.testing import capture_logs
from support import key, public_pem

from jwks_server.keys.evaluate import GONE_SECONDS
from jwks_server.keys.policy import Policy
from jwks_server.options.settings import Timing
from jwks_server.published.catalog import Catalog
from jwks_server.published.pages import Endpoint
from jwks_server.source.directory import Directory, Seen
from jwks_server.source.reload import Reloader
from jwks_server.source.state import StateFile
from jwks_server.source.triggers import Files, Trigger, Triggers

ENDPOINT = Endpoint("/.well-known/jwks.json")


def reloader(path: Path, catalog: Catalog, policy: Policy | None = None) -> Reloader:
    """Make a reloader."""
    return Reloader(Directory(path, ["*.pem"]), policy or Policy(), catalog, ENDPOINT, timing=Timing())


async def test_unchanged_files_publish_nothing(tmp_path: Path) -> None:
    """A scan that finds nothing new leaves the very same entry in place."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    catalog = Catalog()
    one = reloader(tmp_path, catalog)
    await one.reload()
    entry = catalog.current
    assert entry.entries
    await one.reload()
    assert catalog.current is entry


async def test_failure_leaves_the_last_entry(tmp_path: Path) -> None:
    """Whatever goes wrong with the directory, the last entry stays; the same files then publish again."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "a.pem").write_bytes(public_pem(key("RSA")))
    catalog = Catalog()
    one = reloader(tmp_path / "keys", catalog)
    await one.reload()
    entry = catalog.current
    (tmp_path / "keys").rename(tmp_path / "away")
    await one.reload()
    assert catalog.current is entry
    (tmp_path / "away").rename(tmp_path / "keys")
    await one.reload()
    assert catalog.current == entry


async def test_one_reload_at_a_time_and_one_more(tmp_path: Path) -> None:
    """Triggers that arrive during a reload are followed by one more, not by one each."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    loop = asyncio.get_running_loop()
    started, go_on = asyncio.Event(), asyncio.Event()
    reads = []

    class Gated(Directory):
        def read(self, files: Files = MappingProxyType({}), *, everything: bool = True) -> Mapping[str, Seen]:
            seen = super().read(files, everything=everything)
            reads.append(seen)
            loop.call_soon_threadsafe(started.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
            return seen

    catalog = Catalog()
    triggers = Triggers()
    running = asyncio.create_task(
        Reloader(Gated(tmp_path, ["*.pem"]), Policy(), catalog, ENDPOINT, timing=Timing()).run(triggers)
    )
    triggers.put(Trigger.PERIOD)
    await started.wait()
    for number in range(5):
        (tmp_path / f"b{number}.pem").write_bytes(public_pem(key("P-256", number)))
        triggers.put(Trigger.EVENT)
    started.clear()
    go_on.set()
    await started.wait()
    while len(catalog.current.entries["/"].keyset.keys if catalog.current.entries else ()) < 6:
        await asyncio.sleep(0)
    running.cancel()
    assert len(reads) == 2


async def lines_of_a_start(path: Path, state: Path | None = None) -> list[tuple[str, str, int]]:
    """Start, and count the lines by event and level."""
    with capture_logs() as logs:
        file = StateFile(state) if state else None
        one = Reloader(Directory(path, ["*.pem"]), Policy(), Catalog(), ENDPOINT, timing=Timing(), state=file)
        await one.reload()
        await one.state.save()
    told = Counter((line["event"], line["log_level"]) for line in logs if line["event"] != "finding")
    return sorted((event, level, number) for (event, level), number in told.items())


async def test_a_large_start_is_summed_up(tmp_path: Path) -> None:
    """A first load with many keys is one line, and each key is at level debug; a bad file is a line as always."""
    for number in range(11):
        folder = tmp_path / f"issuer{number}"
        folder.mkdir()
        for name in range(2):
            (folder / f"{name}.pem").write_bytes(public_pem(key("P-256", name)))
    (folder / "bad.pem").write_bytes(b"nonsense")
    assert await lines_of_a_start(tmp_path) == [
        ("file-refused", "error", 1),
        ("key-published", "debug", 22),
        ("loaded", "info", 1),
    ]


async def test_what_was_published_before_a_restart_is_no_news(tmp_path: Path) -> None:
    """With a state file, a start lists only the keys that are new."""
    keys, state = tmp_path / "keys", tmp_path / "state.json"
    keys.mkdir()
    (keys / "a.pem").write_bytes(public_pem(key("P-256")))
    assert ("key-published", "info", 1) in await lines_of_a_start(keys, state)
    (keys / "b.pem").write_bytes(public_pem(key("P-256", 1)))
    assert await lines_of_a_start(keys, state) == [
        ("key-published", "debug", 1),
        ("key-published", "info", 1),
        ("loaded", "info", 1),
    ]


async def test_each_fault_is_logged_once(tmp_path: Path) -> None:
    """A fault of an issuer or of the state file is logged when it appears, and when it is over, not in between."""
    keys, state = tmp_path / "keys", tmp_path / "later" / "state.json"
    (keys / "acme").mkdir(parents=True)
    (keys / "acme" / "a.pem").write_bytes(public_pem(key("P-256")))
    one = Reloader(Directory(keys, ["*.pem"]), Policy(), Catalog(), ENDPOINT, timing=Timing(), state=StateFile(state))
    with capture_logs() as logs:
        for _ in range(3):
            await one.reload()
            await one.state.save()
        (keys / "acme" / "jwks.toml").write_bytes(b"nonsense")
        for _ in range(3):
            await one.reload()
        state.parent.mkdir()
        (keys / "acme" / "jwks.toml").unlink()
        for _ in range(3):
            await one.reload()
            await one.state.save()
            await asyncio.sleep(GONE_SECONDS)
    told = [
        (line["event"], line["code"], line.get("issuer"), line.get("serving"))
        for line in logs
        if "reload-" in line["event"]
    ]
    assert sorted(told, key=str) == [
        ("reload-failed", "policy-invalid", "/acme", True),
        ("reload-failed", "state-unusable", None, False),
        ("reload-recovered", "policy-invalid", "/acme", None),
        ("reload-recovered", "state-unusable", None, None),
    ]
