"""The dashboard."""

import asyncio
import itertools
import json
import re
from pathlib import Path

import aiohttp
from manifests import DEPLOY, Object, run, tool
from support import (
    HANG_SECONDS,
    Running,
    certificate_pem,
    certify,
    key,
    private_pem,
    public_pem,
    raw,
    serving,
    trusting,
)

DASHBOARD: Object = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
PANELS = [one for one in DASHBOARD["panels"] if one["type"] != "row"]
WIDTH = 24


def test_expressions_are_promql(tmp_path: Path) -> None:
    """Prometheus can parse every expression, once Grafana has filled in its variables."""
    filled = [
        re.sub(r"\$(\w+)", lambda match: "5m" if match[1] == "__rate_interval" else ".*", target["expr"])
        for panel in PANELS
        for target in panel["targets"]
    ]
    rules = [{"record": f"panel:{number}", "expr": one} for number, one in enumerate(filled)]
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    found = run(tool("promtool", "Debian's prometheus"), "check", "rules", "--lint=none", file)
    assert f"{len(filled)} rules found" in found


def test_panels_do_not_overlap() -> None:
    """Each panel has an id, a place and a description of its own."""
    taken: set[tuple[int, int]] = set()
    for one in DASHBOARD["panels"]:
        place = one["gridPos"]
        cells = {(place["x"] + right, place["y"] + down) for right in range(place["w"]) for down in range(place["h"])}
        assert place["x"] + place["w"] <= WIDTH
        assert not cells & taken
        taken |= cells
    assert len({one["id"] for one in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(one["title"] and one["description"] for one in PANELS)
    for one in PANELS:
        assert len({target["refId"] for target in one["targets"]}) == len(one["targets"])


def test_variables_are_defined() -> None:
    """Every variable that a panel uses is the dashboard's own, or one of Grafana's; every one is used."""
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(DASHBOARD)))
    assert used == {one["name"] for one in DASHBOARD["templating"]["list"]}


async def scraping(server: Running, folder: Path) -> asyncio.subprocess.Process:
    """Let a real Prometheus scrape a server, and tell where it is asked."""
    prometheus = tool("prometheus", "Debian's prometheus")
    scrape = {
        "job_name": "jwks-server",
        "static_configs": [{"targets": [f"127.0.0.1:{server.admin}"], "labels": {"namespace": "jwks"}}],
    }
    file = folder / "prometheus.yml"
    file.write_text(json.dumps({"global": {"scrape_interval": "200ms"}, "scrape_configs": [scrape]}))
    with (folder / "log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            prometheus,
            *(f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}", "--web.listen-address=127.0.0.1:0"),
            stderr=log,
        )


async def address_of(process: asyncio.subprocess.Process, log: Path) -> str:
    """Read where Prometheus listens from its log, which says so."""
    while process.returncode is None:
        text = log.read_text()
        if "ready to receive" in text and (found := re.search(r"Listening on\W+address=([\d.:]+)", text)):
            return found[1]
        await asyncio.sleep(0.05)
    raise AssertionError(log.read_text())


async def empty(session: aiohttp.ClientSession, address: str) -> list[str]:
    """List the panels' queries that give nothing."""
    lacking = []
    for panel in PANELS:
        for target in panel["targets"]:
            query = re.sub(r"\$(\w+)", lambda match: "1m" if match[1] == "__rate_interval" else ".*", target["expr"])
            async with session.get(f"http://{address}/api/v1/query", params={"query": query}) as reply:
                found = (await reply.json())["data"]["result"]
            # The mean of nothing is not a number.
            if not any(one["value"][1] != "NaN" for one in found):
                lacking.append(target["expr"])
    return lacking


async def test_every_query_gives_something(tmp_path: Path) -> None:
    """With a real Prometheus and a server in use, no query of the dashboard comes back empty."""
    tool("prometheus", "Debian's prometheus")
    keys = tmp_path / "keys"
    (keys / "acme").mkdir(parents=True)
    (keys / "a.pem").write_bytes(public_pem(key("RSA")))
    (keys / "b.pem").write_bytes(certificate_pem(certify(key("P-256"))))
    (keys / "bad.pem").write_bytes(b"nonsense")
    (keys / "acme" / "a.pem").write_bytes(public_pem(key("P-256", 1)))
    (keys / "acme" / "jwks.toml").write_text("nonsense")
    private = key("P-256", 2)
    (tmp_path / "tls.pem").write_bytes(certificate_pem(certify(private)))
    (tmp_path / "tls.key").write_bytes(private_pem(private))
    pair = ("--tls-cert", str(tmp_path / "tls.pem"), "--tls-key", str(tmp_path / "tls.key"))
    flags = (*pair, "--metrics-per-issuer", "--retain", "3600", "--idle-timeout", "0.1")
    get = b"GET /.well-known/jwks.json?%d HTTP/1.1\r\nHost: a\r\n\r\n"
    numbers = itertools.count()
    async with serving(keys, *flags) as server, aiohttp.ClientSession() as session:
        (keys / "a.pem").unlink()
        await server.log("key-retiring", file="a.pem")
        process = await scraping(server, tmp_path)
        lacking = ["every query"]
        try:
            async with asyncio.timeout(2 * HANG_SECONDS):
                address = await address_of(process, tmp_path / "log")
                while lacking := await empty(session, address):
                    new = get % next(numbers)  # which the response cache doesn't have the first time
                    for data in (new, new, b"nonsense\r\n\r\n"):
                        await raw(server.port, data, tls=trusting())  # the first two end at their deadline
        except TimeoutError:
            raise AssertionError(f"these give nothing: {lacking}") from None
        finally:
            process.kill()
            await process.wait()
