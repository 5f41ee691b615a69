"""One issuer's life, with the clock in the test's hand."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from support import key, public_pem

from jwks_server.keys.policy import Policy
from jwks_server.options.settings import Timing
from jwks_server.published.catalog import Catalog
from jwks_server.published.pages import Endpoint
from jwks_server.source.clock import Clock
from jwks_server.source.directory import Directory
from jwks_server.source.reload import Reloader

DAY = 86400.0


class House:
    """A reloader on a directory, and the catalog that it writes."""

    def __init__(self, path: Path) -> None:
        self.now = 1_800_000_000.0
        self.catalog = Catalog()
        self._reloader = Reloader(
            Directory(path, ["*.pem"]),
            Policy(),
            self.catalog,
            Endpoint("/.well-known/jwks.json"),
            timing=Timing(),
            clock=Clock(lambda: self.now, None),
        )

    async def after(self, seconds: float) -> None:
        """Look at the directory some seconds later, or earlier."""
        self.now += seconds
        await self._reloader.reload()

    def served(self, issuer: str = "/") -> int | None:
        """Count an issuer's published keys; None where it has no set."""
        entry = self.catalog.current.entries.get(issuer)
        return len(entry.keyset.keys) if entry else None


async def test_folder_emptied_during_the_wait(tmp_path: Path) -> None:
    """A folder whose files are waited for is still an issuer: its writer deletes them before it makes new ones."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    folder, house = tmp_path / "acme", House(tmp_path)
    folder.mkdir()
    (folder / "b.pem").write_bytes(public_pem(key("P-256")))
    later = datetime.fromtimestamp(house.now, UTC) + timedelta(days=1)
    (folder / "jwks.toml").write_text(f'[keys."b.pem"]\npublish_at = {later.isoformat()}\n')
    await house.after(0)
    before = "/acme" in house.catalog.current.awaited, house.served("/acme")
    assert before in {(True, None), (False, 0)}
    for path in folder.iterdir():
        path.unlink()
    await house.after(0.01)
    assert ("/acme" in house.catalog.current.awaited, house.served("/acme")) == before
    await house.after(Timing().grace_period + 1)
    assert "/acme" not in house.catalog.current.awaited
    assert house.served("/") == 1


async def test_clock_set_back_while_a_bad_file_is_waited_for(tmp_path: Path) -> None:
    """A clock that is set back makes no wait longer: the bad file loses its key as soon as it would have before."""
    house = House(tmp_path)
    for name in ("a.pem", "b.pem"):
        (tmp_path / name).write_bytes(public_pem(key("P-256", ord(name[0]))))
    await house.after(0)
    (tmp_path / "b.pem").write_bytes(b"-----BEGIN PUBLIC KEY-----\n")
    await house.after(1)
    assert house.served() == 2
    await house.after(-DAY)
    assert house.served() == 2
    await house.after(Timing().grace_period + 1)
    assert house.served() == 1


async def test_clock_set_back_while_a_folder_is_waited_for(tmp_path: Path) -> None:
    """So does the wait for a folder that vanished."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "b.pem").write_bytes(public_pem(key("P-256")))
    house = House(tmp_path)
    await house.after(0)
    shutil.rmtree(tmp_path / "acme")
    await house.after(0.01)
    assert house.served("/acme") == 1
    await house.after(-DAY)
    assert house.served("/acme") == 1
    await house.after(1)
    assert house.served("/acme") is None
