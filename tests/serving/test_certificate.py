"""The server's certificate: which replacements are refused, and what is said about it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs
from support import HANG_SECONDS, Running, certificate_pem, certify, key, private_pem, public_pem, serving

from jwks_server.serving.certificate import Certificate

DAY = 86400.0
GOOD, EXPIRED, FUTURE = (-1, 90), (-30, -1), (2, 90)


def put(file: Path, data: bytes) -> None:
    """Replace a file in one step."""
    new = file.with_name(f"{file.name}.new")
    new.write_bytes(data)
    new.rename(file)


def install(files: Path, days: tuple[float, float]) -> float:
    """Put a certificate of always the same key in place, and tell when it ends."""
    private = key("P-256")
    certificate = certify(private, days=days)
    if not (files / "tls.key").exists():
        put(files / "tls.key", private_pem(private))
    put(files / "tls.pem", certificate_pem(certificate))
    return certificate.not_valid_after_utc.timestamp()


class Followed:
    """A certificate whose files are followed, and a clock that the test sets."""

    def __init__(self, files: Path) -> None:
        self.now = time.time()
        self.certificate = Certificate(str(files / "tls.pem"), str(files / "tls.key"), lambda: self.now)

    @property
    def codes(self) -> list[str]:
        """What is wrong now."""
        return [one.code for one in self.certificate.faults]

    @property
    def ends(self) -> float:
        """When the certificate that is shown ends."""
        assert self.certificate.validity
        return self.certificate.validity.not_after


@asynccontextmanager
async def followed(files: Path) -> AsyncIterator[Followed]:
    """Follow a certificate."""
    one = Followed(files)
    task = asyncio.create_task(one.certificate.follow())
    try:
        async with asyncio.timeout(HANG_SECONDS):
            yield one
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(("days", "code"), [(EXPIRED, "tls-expired"), (FUTURE, "tls-not-yet-valid")])
async def test_bad_replacement_is_refused(tmp_path: Path, days: tuple[float, float], code: str) -> None:
    """A replacement outside of its period is refused while the one before is good: one line, until it is over."""
    good = install(tmp_path, GOOD)
    async with followed(tmp_path) as one:
        with capture_logs() as logs:
            install(tmp_path, days)
            for _ in range(3):
                await one.certificate.reload()
            assert (one.ends, one.codes) == (good, [code])
            renewed = install(tmp_path, GOOD)
            await one.certificate.reload()
            assert (one.ends, one.codes) == (renewed, [])
    assert [(line["event"], line.get("code")) for line in logs] == [
        ("tls-failed", code),
        ("tls-reloaded", None),
        ("tls-recovered", code),
    ]


async def test_replacement_is_taken_when_it_is_valid(tmp_path: Path) -> None:
    """A replacement that is not valid yet is taken when its time has come, without another change of its files."""
    install(tmp_path, GOOD)
    async with followed(tmp_path) as one:
        later = install(tmp_path, FUTURE)
        await one.certificate.reload()
        assert one.codes == ["tls-not-yet-valid"]
        one.now += 3 * DAY
        await one.certificate.reload()
        assert (one.ends, one.codes) == (later, [])


@pytest.mark.parametrize("days", [EXPIRED, FUTURE])
async def test_nothing_better_is_there(tmp_path: Path, days: tuple[float, float]) -> None:
    """At the start any certificate is used, with a line; and in place of an expired one a replacement is taken too."""
    with capture_logs() as logs:
        install(tmp_path, days)
        async with followed(tmp_path) as one:
            assert [(line["event"], line["code"]) for line in logs] == [("tls-failed", *one.codes)]
            expired = install(tmp_path, EXPIRED)
            await one.certificate.reload()
            assert (one.ends, one.codes) == (expired, ["tls-expired"])


async def test_it_expires_in_use(tmp_path: Path) -> None:
    """A certificate that expires while it is used is a fault from then on, beside a refused replacement."""
    install(tmp_path, GOOD)
    with capture_logs() as logs:
        async with followed(tmp_path) as one:
            put(tmp_path / "tls.pem", b"nonsense")
            await one.certificate.reload()
            one.now += 91 * DAY
            for _ in range(2):
                await one.certificate.reload()
            assert one.codes == ["tls-invalid", "tls-expired"]
    assert [line["code"] for line in logs] == one.codes


async def told(server: Running) -> tuple[dict[str, object], dict[str, float]]:
    """Ask what status and metrics say of the certificate."""
    url = f"http://127.0.0.1:{server.admin}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/status") as reply:
            status = (await reply.json())["certificate"]
        async with session.get(f"{url}/metrics") as reply:
            families = list(text_string_to_metric_families(await reply.text()))
    prefix = "jwks_server_serving_certificate_"
    samples = [sample for family in families for sample in family.samples if sample.name.startswith(prefix)]
    return status, {" ".join((one.name.removeprefix(prefix), *one.labels.values())): one.value for one in samples}


async def test_status_and_metrics(tmp_path: Path) -> None:
    """Status and metrics show when the certificate ends, and a fault of its files until it is over."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "a.pem").write_bytes(public_pem(key("RSA")))
    ends = install(tmp_path, GOOD)
    pair = ("--tls-cert", str(tmp_path / "tls.pem"), "--tls-key", str(tmp_path / "tls.key"))
    async with serving(tmp_path / "keys", *pair) as server:
        status, metrics = await told(server)
        assert (status["file"], status["faults"]) == (str(tmp_path / "tls.pem"), [])
        assert metrics["not_after_timestamp_seconds"] == ends
        assert metrics["last_reload_successful"] == 1
        install(tmp_path, EXPIRED)
        await server.log("tls-failed", code="tls-expired")
        status, metrics = await told(server)
        assert [one["code"] for one in status["faults"]] == ["tls-expired"]  # type: ignore[attr-defined]
        assert metrics["not_after_timestamp_seconds"] == ends
        assert metrics["last_reload_successful"] == 0
        assert metrics["faults tls-expired"] == 1
        install(tmp_path, GOOD)
        await server.log("tls-recovered")
        status, metrics = await told(server)
        assert (status["faults"], metrics["last_reload_successful"]) == ([], 1)
