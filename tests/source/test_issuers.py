"""Many issuers in one directory: what a reload builds, publishes and leaves alone."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from support import key, public_pem

from jwks_server.errors import JwksError
from jwks_server.keys.evaluate import GONE_SECONDS
from jwks_server.keys.policy import Policy
from jwks_server.options.settings import Timing
from jwks_server.published.catalog import Catalog, Entry
from jwks_server.published.pages import Endpoint
from jwks_server.source import folder as folders
from jwks_server.source.directory import Directory
from jwks_server.source.reload import Reloader
from jwks_server.source.state import StateFile
from jwks_server.source.triggers import Hint, Trigger
from jwks_server.stats import Reloads

PEMS = [public_pem(key("P-256", number)) for number in range(4)]


class House:
    """A reloader on a directory, its clock in the test's hand."""

    def __init__(self, path: Path, policy: Policy | None = None, state: Path | None = None) -> None:
        self.path = path
        self.now = 1_000_000.0
        self.catalog = Catalog()
        self.reloads = Reloads()
        self.state = StateFile(state) if state else None
        self.reloader = Reloader(
            Directory(path, ["*.pem"]),
            policy or Policy(),
            self.catalog,
            Endpoint("/.well-known/jwks.json"),
            timing=Timing(),
            state=self.state,
            reloads=self.reloads,
            clock=lambda: self.now,
        )

    def end(self) -> None:
        """Let another house write the state file."""
        if self.state:
            self.state.close()

    def faults(self, issuer: str) -> tuple[JwksError, ...]:
        """Return what is wrong with an issuer now."""
        return self.reloads.faults.get(issuer, ())

    def put(self, name: str, number: int = 0) -> None:
        """Write a key file."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PEMS[number])

    async def reload(self, *issuers: str, after: float = 0.0) -> list[str]:
        """Look at everything, or at some issuers, some seconds later; tell which were rendered."""
        self.now += after
        before = self.catalog.current.entries
        await self.reloader.reload([Hint(Trigger.EVENT, issuer) for issuer in issuers or ("",)])
        entries = self.catalog.current.entries
        return sorted(path for path, entry in entries.items() if entry is not before.get(path))

    @property
    def served(self) -> dict[str, int]:
        """Count each issuer's published keys."""
        return {path: len(entry.keyset.keys) for path, entry in self.catalog.current.entries.items()}

    @property
    def awaited(self) -> set[str]:
        """Name the issuers without a set."""
        return set(self.catalog.current.awaited)


def recorded(monkeypatch: pytest.MonkeyPatch, function: str) -> list[str]:
    """Record the file names that a function is called with."""
    names: list[str] = []
    original = getattr(folders, function)

    def record(name: str, *more: object) -> object:
        names.append(name)
        return original(name, *more)

    monkeypatch.setattr(folders, function, record)
    return names


async def test_one_more_key_costs_only_its_issuer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1,000 issuers with 3 keys each, one more key reads, parses and renders for its own issuer alone."""
    house = House(tmp_path)
    for number in range(1000):
        for nth in range(3):
            house.put(f"issuer-{number}/{nth}.pem", nth)
    assert len(await house.reload()) == 1000
    before = house.catalog.current
    house.put("issuer-500/3.pem", 3)
    read, parsed = (recorded(monkeypatch, function) for function in ("contents", "read_file"))
    assert await house.reload("/issuer-500") == ["/issuer-500"]
    assert parsed == ["3.pem"]
    assert len(read) <= 4  # a file that was just written is read again: its times may hide a change
    after = house.catalog.current
    assert len(after.entries["/issuer-500"].keyset.keys) == 4
    others = before.entries.keys() - {"/issuer-500"}
    assert all(after.entries[path] is before.entries[path] for path in others)
    assert all(after.entries[path] is before.entries[path] for path in others)


async def test_everything_of_one_look_is_published_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One edition follows another, whatever number of issuers changed."""
    house = House(tmp_path)
    for name in ("a.pem", "a/a.pem", "b/a.pem"):
        house.put(name)
    editions = []
    publish = house.catalog.publish

    def record(changes: Mapping[str, Entry | None], awaited: frozenset[str]) -> None:
        editions.append(set(changes))
        publish(changes, awaited)

    monkeypatch.setattr(house.catalog, "publish", record)
    assert await house.reload() == ["/", "/a", "/b"]
    assert editions == [{"/", "/a", "/b"}]
    assert house.served == {"/": 1, "/a": 1, "/b": 1}
    assert await house.reload() == []
    assert len(editions) == 1


async def test_directory_without_keys_of_its_own(tmp_path: Path) -> None:
    """Where folders have keys the directory needs none; without them it is an issuer that waits for its keys."""
    house = House(tmp_path)
    await house.reload()
    assert (house.served, house.awaited) == ({}, {"/"})
    house.put("a/a.pem")
    await house.reload()
    await house.reload()
    assert (house.served, house.awaited) == ({"/a": 1}, set())
    house.put("b.pem")
    await house.reload("/")
    assert house.served == {"/a": 1, "/": 1}


async def test_issuer_without_a_good_key(tmp_path: Path) -> None:
    """It is waited for, and costs no other; an empty folder is none, and a name that can't stand in a URL neither."""
    house = House(tmp_path)
    house.put("a/a.pem")
    (tmp_path / "none").mkdir()
    house.put("bad name/a.pem")
    house.put("late/a.pem")
    (tmp_path / "late" / "a.pem").write_bytes(b"nonsense")
    await house.reload()
    assert (house.served, house.awaited) == ({"/a": 1}, {"/late"})
    (tmp_path / "late" / "a.pem").unlink()
    await house.reload("/late")
    assert (house.served, house.awaited) == ({"/a": 1}, set())
    house.put("late/b.pem")
    await house.reload("/late")
    assert (house.served, house.awaited) == ({"/a": 1, "/late": 1}, set())


async def test_folder_that_is_gone_is_waited_for(tmp_path: Path) -> None:
    """A flat folder that vanishes for a moment keeps its issuer, one that stays away takes it along."""
    house = House(tmp_path)
    house.put("a/a.pem")
    house.put("b/a.pem")
    await house.reload()
    entry = house.catalog.current.entries["/a"]
    (tmp_path / "a").rename(tmp_path / ".away")
    await house.reload("/a")
    (tmp_path / ".away").rename(tmp_path / "a")
    await house.reload("/a", after=0.05)
    await house.reload("/a", after=0.05)
    assert house.catalog.current.entries["/a"].keyset.body == entry.keyset.body
    shutil.rmtree(tmp_path / "a")
    await house.reload("/a", after=0.05)
    assert house.served == {"/a": 1, "/b": 1}
    await house.reload("/b", after=GONE_SECONDS)  # its time has come, whatever else the look is about
    assert house.served == {"/b": 1}
    assert "/a" not in house.catalog.current.pages


async def test_folder_of_a_volume_goes_at_once(tmp_path: Path) -> None:
    """A version of a volume is whole: what is not in it is gone."""
    house = House(tmp_path)
    for version, names in ((1, "ab"), (2, "b")):
        for name in names:
            house.put(f"..{version}/{name}/a.pem")
    (tmp_path / "..data").symlink_to("..1")
    await house.reload()
    assert house.served == {"/a": 1, "/b": 1}
    (tmp_path / "new").symlink_to("..2")
    (tmp_path / "new").rename(tmp_path / "..data")
    await house.reload("/b")  # even a look at one issuer sees that the volume is another
    assert house.served == {"/b": 1}


@pytest.mark.parametrize("name", ["a", ""], ids=["folder", "directory"])
async def test_emptied_folder_keeps_its_set(tmp_path: Path, name: str) -> None:
    """A folder that is there without any key keeps its last set, as the directory itself does."""
    house = House(tmp_path)
    house.put(str(Path(name) / "a.pem"))
    house.put("b/a.pem")
    await house.reload()
    (tmp_path / name / "a.pem").unlink()
    await house.reload()
    await house.reload(after=1)
    assert house.served == {f"/{name}": 1, "/b": 1}


async def test_emptied_folder_where_that_is_allowed(tmp_path: Path) -> None:
    """Where a set without keys is allowed, an emptied folder stays an issuer and publishes that."""
    house = House(tmp_path, Policy(allow_empty=True))
    house.put("a/a.pem")
    house.put("b/a.pem")
    await house.reload()
    (tmp_path / "a" / "a.pem").unlink()
    for _ in range(3):
        await house.reload(after=1)
    assert (house.served, house.awaited) == ({"/a": 0, "/b": 1}, set())


async def test_missing_directory_keeps_every_issuer(tmp_path: Path) -> None:
    """While the directory is away nothing is withdrawn, and nothing is built again and again."""
    house = House(tmp_path / "keys")
    house.put("a/a.pem")
    house.put("b/a.pem")
    await house.reload()
    shutil.rmtree(tmp_path / "keys" / "a")
    await house.reload("/a")
    (tmp_path / "keys").rename(tmp_path / "away")
    for _ in range(3):
        assert await house.reload(after=1) == []
    assert house.served == {"/a": 1, "/b": 1}
    (tmp_path / "away").rename(tmp_path / "keys")
    await house.reload(after=1)
    await house.reload(after=1)
    assert house.served == {"/b": 1}


async def test_folder_that_can_not_be_read(tmp_path: Path) -> None:
    """It keeps its last set, and the others go on."""
    house = House(tmp_path)
    house.put(".target/a.pem")
    (tmp_path / "a").symlink_to(".target")
    house.put("b/a.pem")
    await house.reload()
    (tmp_path / "a").unlink()
    (tmp_path / "a").symlink_to("a")
    house.put("b/b.pem", 1)
    assert await house.reload(after=1) == ["/b"]
    assert house.served == {"/a": 1, "/b": 2}


async def test_each_issuer_has_a_policy_of_its_own(tmp_path: Path) -> None:
    """A jwks.toml is its folder's; a wrong one costs no other issuer, and time changes only whose time it is."""
    house = House(tmp_path)
    for name in "abc":
        house.put(f"{name}/a.pem")
        house.put(f"{name}/b.pem", 1)
    (tmp_path / "a" / "jwks.toml").write_text('[keys."a.pem"]\nremove_at = 1970-01-12T14:00:00Z\n')
    (tmp_path / "b" / "jwks.toml").write_text("nonsense")
    await house.reload()
    assert (house.served, house.awaited) == ({"/a": 2, "/c": 2}, {"/b"})
    house.now = 12 * 86400 - 36_000.0 + 1
    assert await house.reload("/c") == ["/a"]
    assert house.served == {"/a": 1, "/c": 2}


async def test_state_is_remembered_by_issuer(tmp_path: Path) -> None:
    """After a restart each issuer has its own first-published times and retiring keys."""
    state, keys = tmp_path / "state.json", tmp_path / "keys"
    first = House(keys, Policy(retain=100), state)
    for name in ("a/a.pem", "b/a.pem", "c/a.pem"):
        first.put(name)
    first.put("a/b.pem", 1)
    await first.reload()
    (keys / "a" / "b.pem").unlink()
    shutil.rmtree(keys / "c")
    first.end()
    second = House(keys, Policy(retain=100), state)
    await second.reload(after=10)
    found = second.catalog.current.entries
    assert [(one.file, one.state) for one in found["/a"].keyset.keys] == [("a.pem", "published"), ("b.pem", "retiring")]
    assert [one.first_published for one in found["/b"].keyset.keys] == [first.now]
    assert StateFile(state).load().keys() == {"/a", "/b"}


async def test_state_outlives_a_directory_that_comes_late(tmp_path: Path) -> None:
    """Before the directory is mounted it is empty; that forgets no issuer's times."""
    state, keys = tmp_path / "state.json", tmp_path / "keys"
    first = House(keys, state=state)
    first.put("a/a.pem")
    await first.reload()
    keys.rename(tmp_path / "away")
    keys.mkdir()
    first.end()
    second = House(keys, state=state)
    await second.reload(after=10)
    keys.rmdir()
    (tmp_path / "away").rename(keys)
    await second.reload(after=10)
    assert second.catalog.current.entries["/a"].keyset.keys[0].first_published == first.now


async def test_safe_to_sign_at_after_a_restart_with_a_lower_max_age(tmp_path: Path) -> None:
    """Caches may hold what was served before the restart for the max-age of that time."""
    state, keys = tmp_path / "state.json", tmp_path / "keys"
    first = House(keys, Policy(max_age=3600), state)
    first.put("a.pem")
    await first.reload()
    first.end()
    second = House(keys, Policy(max_age=60), state)
    second.put("b.pem", 1)
    await second.reload(after=100)
    second.end()
    third = House(keys, Policy(max_age=60), state)
    await third.reload(after=200)
    for house in (second, third):
        new = next(one for one in house.catalog.current.entries["/"].keyset.keys if one.file == "b.pem")
        assert new.safe_to_sign_at == first.now + 100 + 3600 + Timing().propagation


async def test_a_revocation_outlives_a_restart_under_another_kid(tmp_path: Path) -> None:
    """A key that was revoked by a kid that it has no longer stays revoked after a restart."""
    state, keys = tmp_path / "state.json", tmp_path / "keys"
    first = House(keys, Policy(kid="filename"), state)
    first.put("a.pem")
    first.put("b.pem", 1)
    await first.reload()
    assert first.served == {"/": 2}
    (keys / "jwks.toml").write_text('revoked = ["b"]\n[keys."b.pem"]\nkid = "same"\n')
    await first.reload(after=10)
    assert first.served == {"/": 1}
    house = first
    for _ in range(2):
        house.end()
        house = House(keys, Policy(kid="filename"), state)
        await house.reload(after=100)
        assert [one.file for one in house.catalog.current.entries["/"].keyset.keys] == ["a.pem"]


async def test_policy_with_very_many_entries(tmp_path: Path) -> None:
    """A jwks.toml of 20,000 entries, over 1 MB, is read like any other."""
    house = House(tmp_path)
    house.put("a.pem")
    house.put("b.pem", 1)
    text = "".join(f'[keys."old-{number}.pem"]\nkid = "kid-{number}-that-is-longer"\n' for number in range(20_000))
    (tmp_path / "jwks.toml").write_text(text + '[keys."a.pem"]\nkid = "mine"\n')
    assert (tmp_path / "jwks.toml").stat().st_size > 1_000_000
    await house.reload()
    assert "mine" in {one.kid for one in house.catalog.current.entries["/"].keyset.keys}


@pytest.mark.parametrize("leads_to", ["..nowhere", "..1/a.pem"])
async def test_volume_whose_data_link_leads_nowhere(tmp_path: Path, leads_to: str) -> None:
    """An issuer's volume whose ``..data`` leads nowhere for a moment keeps its last set; it is an error, not gone."""
    house = House(tmp_path)
    house.put("a/..1/a.pem")
    (tmp_path / "a" / "..data").symlink_to("..1")
    (tmp_path / "a" / "a.pem").symlink_to("..data/a.pem")
    house.put("b/a.pem")
    await house.reload()
    entry = house.catalog.current.entries["/a"]
    (tmp_path / "a" / "new").symlink_to(leads_to)
    (tmp_path / "a" / "new").rename(tmp_path / "a" / "..data")
    for _ in range(3):
        await house.reload(after=10)
        assert house.catalog.current.entries["/a"] is entry
        (fault,) = house.faults("/a")
        assert fault.code == "directory-unreadable"
        assert "..data" in fault.message
    (tmp_path / "a" / "new").symlink_to("..1")
    (tmp_path / "a" / "new").rename(tmp_path / "a" / "..data")
    await house.reload(after=10)
    assert not house.faults("/a")
    assert house.catalog.current.entries["/a"].keyset.body == entry.keyset.body


@pytest.mark.parametrize("name", ["a", ""], ids=["folder", "directory"])
async def test_restart_with_an_emptied_folder(tmp_path: Path, name: str) -> None:
    """With a state file, a folder that is found empty at a restart holds the last set, as it does without a restart."""
    state, keys = tmp_path / "state.json", tmp_path / "keys"
    first = House(keys, state=state)
    first.put(str(Path(name) / "a.pem"))
    first.put("b/a.pem")
    await first.reload()
    body = first.catalog.current.entries[f"/{name}"].keyset.body
    (keys / name / "a.pem").unlink()
    second = first
    for _ in range(2):
        second.end()
        second = House(keys, state=state)
        await second.reload(after=10)
        await second.reload(after=10)
        assert second.served == {f"/{name}": 1, "/b": 1}
        assert second.catalog.current.entries[f"/{name}"].keyset.body == body
        assert [fault.code for fault in second.faults(f"/{name}")] == ["no-keys"]
    second.put(str(Path(name) / "a.pem"), 1)
    await second.reload(after=10)
    assert second.served == {f"/{name}": 1, "/b": 1}
    assert second.catalog.current.entries[f"/{name}"].keyset.body != body
