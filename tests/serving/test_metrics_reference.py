"""docs/reference/metrics.md names every metric, as a real scrape has it."""

import re
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from support import ROOT, Running, certificate_pem, certify, key, private_pem, public_pem, raw, serving

REFERENCE = ROOT / "docs" / "reference" / "metrics.md"
DETAILS = "## With --metrics-per-issuer"
# The parser's own labels of a histogram's samples.
_OF_FORMAT = {"le"}


@dataclass(frozen=True)
class Row:
    """A metric: its type, labels, unit and meaning."""

    type: str
    labels: frozenset[str]
    unit: str
    meaning: str


def documented() -> dict[str, Row]:
    """Read the reference."""
    found = {}
    for line in REFERENCE.read_text().splitlines():
        if line.startswith("| `"):
            name, kind, labels, unit, meaning = (cell.strip() for cell in line.strip("|").split("|"))
            assert name.strip("`") not in found
            found[name.strip("`")] = Row(kind, frozenset(re.findall("`([a-z_]+)`", labels)), unit, meaning)
    return found


def unit(name: str) -> str:
    """Tell a metric's unit by its name, as Prometheus's naming conventions want it."""
    ends = {"_timestamp_seconds": "seconds since the epoch", "_seconds": "seconds", "_bytes": "bytes"}
    plain = name.removesuffix("_total")
    return next((text for end, text in ends.items() if plain.endswith(end)), "")


def row(family: Metric) -> Row:
    """Take a family as the reference writes it."""
    labels = {label for sample in family.samples for label in sample.labels} - _OF_FORMAT
    name = family.name + ("_total" if family.type == "counter" else "")
    return Row(family.type, frozenset(labels), unit(name), family.documentation)


async def scraped(server: Running) -> dict[str, Row]:
    """Scrape every family, counters under the name of their samples."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{server.admin}/metrics") as reply,
    ):
        families = list(text_string_to_metric_families(await reply.text()))
    return {one.name + ("_total" if one.type == "counter" else ""): row(one) for one in families}


async def busy(tmp_path: Path, *flags: str) -> dict[str, Row]:
    """Run a server in which every metric has a sample, and scrape it."""
    keys = tmp_path / "keys"
    (keys / "acme").mkdir(parents=True)
    (keys / "a.pem").write_bytes(public_pem(key("RSA")))
    (keys / "b.pem").write_bytes(certificate_pem(certify(key("P-256"), days=(-1, 5))))
    (keys / "bad.pem").write_bytes(b"nonsense")
    (keys / "acme" / "a.pem").write_bytes(public_pem(key("P-256", 1)))
    (keys / "c").mkdir()
    (keys / "c" / "a.pem").write_bytes(public_pem(key("P-256", 3)))
    private = key("P-256", 2)
    (tmp_path / "tls.pem").write_bytes(certificate_pem(certify(private, days=(-9, -1))))
    (tmp_path / "tls.key").write_bytes(private_pem(private))
    pair = ("--tls-cert", str(tmp_path / "tls.pem"), "--tls-key", str(tmp_path / "tls.key"))
    async with serving(keys, *pair, "--retain", "3600", "--handshake-timeout", "0.1", *flags) as server:
        await raw(server.port, b"GET / HTTP/1.1\r\n\r\n")  # not TLS
        await raw(server.port)  # a handshake that never begins
        (keys / "a.pem").unlink()
        await server.log("key-retiring", file="a.pem")
        (keys / "acme" / "a.pem").unlink()
        await server.log("key-retiring", issuer="/acme")
        (tmp_path / "new.pem").write_bytes(public_pem(key("P-256", 4)))
        (tmp_path / "new.pem").rename(keys / "c" / "a.pem")
        await server.log("key-published", issuer="/c")
        (keys / "c" / "jwks.toml").write_text("nonsense")
        await server.log("reload-failed", issuer="/c")
        return await scraped(server)


async def test_every_metric(tmp_path: Path) -> None:
    """A scrape has the reference's metrics with their types, labels, units and meanings, and no others."""
    found, rows = await busy(tmp_path, "--metrics-per-issuer"), documented()
    assert found == rows


async def test_without_details(tmp_path: Path) -> None:
    """Without --metrics-per-issuer, the metrics of that section have no samples, and the others are as documented."""
    found, rows = await busy(tmp_path), documented()
    section = REFERENCE.read_text().partition(DETAILS)[2].partition("\n## ")[0]
    details = set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))
    assert details
    assert found == {
        name: Row(one.type, frozenset(), one.unit, one.meaning) if name in details else one
        for name, one in rows.items()
    }
