"""The admin listener: probes, metrics, status."""

import json
import os
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sites import GET, statuses
from support import Running, certificate_pem, certify, key, public_pem, raw, serving

_LAST = GET[:-2] + b"Connection: close\r\n\r\n"


async def admin(server: Running, path: str, **headers: str) -> tuple[int, str, aiohttp.ClientResponse]:
    """Ask the admin listener."""
    url = f"http://127.0.0.1:{server.admin}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as reply:
        return reply.status, await reply.text(), reply


async def samples(server: Running) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Read every metric."""
    _, text, _ = await admin(server, "/metrics")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(found: dict[tuple[str, tuple[tuple[str, str], ...]], float], name: str, **labels: str) -> float:
    """Add up a metric's samples that have these labels."""
    return sum(value for (one, given), value in found.items() if one == name and labels.items() <= dict(given).items())


async def test_probes(tmp_path: Path) -> None:
    """Alive at once; ready once a set is loaded, and until then it says why not."""
    directory = tmp_path / "keys"
    async with serving(directory) as server:
        assert (await admin(server, "/livez"))[:2] == (200, "ok\n")
        status, text, reply = await admin(server, "/readyz")
        assert status == 503
        assert "[directory-missing]" in text
        assert reply.content_type == "application/problem+json"
        assert "Access-Control-Allow-Origin" not in reply.headers
        directory.mkdir()
        (directory / "a.pem").write_bytes(public_pem(key("RSA")))
        await server.log("key-published")
        assert (await admin(server, "/readyz"))[:2] == (200, "ok\n")


async def test_public_and_admin_are_apart(tmp_path: Path) -> None:
    """Neither listener answers the other's paths."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path) as server:
        for path in ("/livez", "/readyz", "/metrics", "/status"):
            last = b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path.encode()
            assert statuses(await raw(server.port, last)) == [404]
            post = b"POST %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path.encode()
            assert b"\r\nAllow: GET, HEAD\r\n" in await raw(server.admin, post)
        assert statuses(await raw(server.admin, _LAST.replace(b"Host: a", b"Host: localhost"))) == [404]


async def test_metrics_of_keys(tmp_path: Path) -> None:
    """Keys by stage, alg and kid with their times; files that are refused; the set's digest as in the ETag."""
    leaf = certify(key("P-256"))
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    (tmp_path / "b.pem").write_bytes(certificate_pem(leaf))
    (tmp_path / "c.pem").write_bytes(public_pem(key("Ed25519")))
    (tmp_path / "bad.pem").write_bytes(b"nonsense")
    (tmp_path / "jwks.toml").write_text('[keys."c.pem"]\npublish_at = 2099-01-01T00:00:00Z\n')
    async with serving(tmp_path, "--metrics-per-issuer") as server:
        found = await samples(server)
        reply = await raw(server.port, _LAST)
        etag = re.search(rb'ETag: "([^"]+)"', reply)
        assert etag is not None
        assert total(found, "jwks_server_issuer_set_info", issuer="/", digest=etag[1].decode()) == 1
        for name in ("jwks_server_keys", "jwks_server_issuer_keys"):
            assert total(found, name, stage="published") == 2
            assert total(found, name, stage="pending", alg="EdDSA") == 1
        assert total(found, "jwks_server_issuer_published_keys", issuer="/") == 2
        assert total(found, "jwks_server_issuer_last_reload_successful", issuer="/") == 1
        assert total(found, "jwks_server_set_info") == 1
        assert total(found, "jwks_server_key_info", alg="ES256", file="b.pem", use="sig") == 1
        for name in ("jwks_server_files_refused", "jwks_server_issuer_files_refused"):
            assert total(found, name, code="pem-missing") == 1
        expiry = total(found, "jwks_server_key_certificate_not_after_timestamp_seconds")
        assert expiry == leaf.not_valid_after_utc.timestamp()
        assert total(found, "jwks_server_ready") == 1
        first = {
            labels: value
            for (name, labels), value in found.items()
            if name.endswith("first_published_timestamp_seconds")
        }
        safe = {
            labels: value for (name, labels), value in found.items() if name.endswith("safe_to_sign_timestamp_seconds")
        }
        published = {labels: value for labels, value in safe.items() if labels in first}
        assert len(published) == 2
        assert all(value == first[labels] + 300 + 900 for labels, value in published.items())


async def test_metrics_of_reloads_and_traffic(tmp_path: Path) -> None:
    """Reloads by trigger and outcome; answers by status and way; connections; bad requests by reason."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path) as server:
        for _ in range(5):
            await raw(server.port, _LAST)
        await raw(server.port, b"nonsense\r\n\r\n")
        (tmp_path / "b.pem").write_bytes(public_pem(key("P-256")))
        await server.log("key-published", file="b.pem")
        found = await samples(server)
        assert total(found, "jwks_server_reloads_total", trigger="start", outcome="published") == 1
        assert total(found, "jwks_server_reloads_total", outcome="published") == 2
        assert total(found, "jwks_server_last_reload_successful") == 1
        assert total(found, "jwks_server_reload_duration_seconds_count") >= 2
        assert total(found, "jwks_server_requests_total", status="200", served_by="application") == 1
        assert total(found, "jwks_server_requests_total", status="200", served_by="cache") == 4
        assert total(found, "jwks_server_bad_requests_total", reason="request-line") == 1
        assert total(found, "jwks_server_request_duration_seconds_count") == 1
        assert total(found, "jwks_server_request_duration_seconds_bucket", le="+Inf") == 1
        assert total(found, "jwks_server_connections_accepted_total") == 6
        assert total(found, "process_open_fds") > 0
        before = total(found, "jwks_server_last_reload_success_timestamp_seconds")
        (tmp_path / "jwks.toml").write_text("nonsense")
        await server.log("reload-failed", code="policy-invalid")
        found = await samples(server)
        assert total(found, "jwks_server_faults", issuer="/", code="policy-invalid") == 1
        assert total(found, "jwks_server_issuers_failing") == 1
        assert total(found, "jwks_server_issuer_failing_since_timestamp_seconds", issuer="/") > before
        assert total(found, "jwks_server_last_scan_timestamp_seconds") > 0
        assert total(found, "jwks_server_last_reload_successful") == 0
        assert total(found, "jwks_server_last_reload_success_timestamp_seconds") >= before


async def test_openmetrics_when_asked_for(tmp_path: Path) -> None:
    """Prometheus may ask for OpenMetrics."""
    async with serving(tmp_path) as server:
        _, text, reply = await admin(server, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
        assert reply.content_type == "application/openmetrics-text"
        assert text.endswith("# EOF\n")


async def test_status(tmp_path: Path) -> None:
    """Everything at one glance, in JSON."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    (tmp_path / "bad.pem").write_bytes(b"nonsense")
    async with serving(tmp_path) as server:
        url = f"http://127.0.0.1:{server.admin}/status"
        async with aiohttp.ClientSession() as session, session.get(url) as reply:
            told: dict[str, Any] = await reply.json()
        assert told["ready"] is True
        assert told["watch"] == "events"
        assert told["rescan"]["every_seconds"] >= 1
        assert "1 %" in told["rescan"]["reason"]
        root = told["issuers"]["/"]
        assert [(one["file"], one["stage"], one["kty"]) for one in root["keys"]] == [("a.pem", "published", "RSA")]
        assert [(one["file"], one["verdict"], one.get("code")) for one in root["files"]] == [
            ("a.pem", "published", None),
            ("bad.pem", "refused", "pem-missing"),
        ]
        assert told["reload"]["last"]["outcome"] in {"published", "unchanged"}


@pytest.mark.parametrize("served_by", ["cache", "application"])
async def test_access_log(tmp_path: Path, served_by: str) -> None:
    """With --access-log each answer is a line, from the cache or not, and so is each refusal."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    flags = ("--access-log", *(() if served_by == "cache" else ("--no-response-cache",)))
    async with serving(tmp_path, *flags) as server:
        reply = await raw(server.port, _LAST)
        await raw(server.port, _LAST)
        await raw(server.port, b"nonsense\r\n\r\n")
    lines = [one for one in server.logs if one["event"] == "request"]
    assert [(one["status"], one["served_by"]) for one in lines] == [
        (200, "application"),
        (200, served_by),
        (400, "application"),
    ]
    assert {one["remote"] for one in lines} == {"127.0.0.1"}
    assert lines[1]["method"] == "GET"
    assert lines[1]["target"] == "/.well-known/jwks.json"
    assert all(one["duration"] > 0 for one in lines)
    assert lines[1]["bytes"] == len(reply)


async def test_issuers_are_named_where_something_is_wrong(tmp_path: Path) -> None:
    """Without --metrics-per-issuer, one issuer or many have as many series, but for those that need attention."""
    numbers = []
    for number in (1, 50):
        keys = tmp_path / str(number)
        for name in range(number):
            (keys / f"issuer{name}").mkdir(parents=True)
            (keys / f"issuer{name}" / "a.pem").write_bytes(public_pem(key("P-256")))
        async with serving(keys) as server:
            numbers.append(sum(name != "jwks_server_reloads_total" for name, _ in await samples(server)))
            if number == 1:
                continue
            (keys / "issuer7" / "jwks.toml").write_text("nonsense")
            await server.log("reload-failed", issuer="/issuer7")
            (keys / "issuer8" / "a.pem").unlink()
            await server.log("reload-failed", issuer="/issuer8")
            found = await samples(server)
            _, text, _ = await admin(server, "/status")
            told = json.loads(text)["issuers"]
    assert numbers[0] == numbers[1]
    named = {(name, dict(labels)["issuer"]) for name, labels in found if "issuer" in dict(labels)}
    families = ("faults", "issuer_failing_since_timestamp_seconds", "issuer_last_reload_successful")
    assert named == {(f"jwks_server_{one}", path) for one in families for path in ("/issuer7", "/issuer8")}
    assert told["/issuer7"]["reload"]["outcome"] == "failed"
    assert told["/issuer7"]["reload"]["failing_since"]
    assert (told["/issuer9"]["reload"]["outcome"], told["/issuer9"]["reload"]["failing_since"]) == ("published", None)


async def test_any_file_name_and_any_accept(tmp_path: Path) -> None:
    """Metrics and status are given whatever a file is called, and whatever is asked for."""
    for name in (b"\xff\xfe.pem", b"a\nb.pem", b'a"b\\.pem'):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(public_pem(key("P-256", len(name))))
    async with serving(tmp_path, "--metrics-per-issuer") as server:
        assert total(await samples(server), "jwks_server_key_info") == 3
        for accept in (
            "application/openmetrics-text; version=abc",
            "text/plain;version=x;escaping=bogus",
            "text/plain; version=1.0.0; escaping=bogus",
        ):
            assert (await admin(server, "/metrics", Accept=accept))[0] == 200
        assert (await admin(server, "/status"))[0] == 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((one, 200) for one in ("127.0.0.1", "127.0.0.1:8081", "10.1.2.3", "[::1]", "[::1]:8081", "localhost")),
        *((one, 200) for one in ("LOCALHOST:1", "localhost.", "jwks.internal", "JWKS.internal:80", "other")),
        *((one, 421) for one in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "jwks", "x:1")),
    ],
)
async def test_a_name_that_resolves_here_reads_nothing(tmp_path: Path, host: str, expected: int) -> None:
    """Under another host name than those of --admin-host, as after DNS rebinding, each path is refused."""
    async with serving(tmp_path, "--admin-host", "jwks.internal", "--admin-host", "other") as server:
        for path in ("/livez", "/metrics", "/status", "/nothing"):
            request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
            reply = await raw(server.admin, request)
            assert statuses(reply) == [404 if (path, expected) == ("/nothing", 200) else expected]
            assert (b"host-not-served" in reply) == (expected == 421)
        assert statuses(await raw(server.admin, b"GET /livez HTTP/1.0\r\n\r\n")) == [200]


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /livez HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nConnection: close\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"OPTIONS /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
async def test_no_answer_is_open_to_other_origins(tmp_path: Path, request_: bytes) -> None:
    """Neither an answer nor a refusal on the admin listener lets another origin's page read it."""
    async with serving(tmp_path) as server:
        reply = await raw(server.admin, request_)
    assert reply.startswith(b"HTTP/1.1 ")
    assert b"access-control" not in reply.lower()


async def test_readyz_names_no_path(tmp_path: Path) -> None:
    """The probe's answer has the codes of what is wrong, and nothing of the machine's folders."""
    async with serving(tmp_path / "missing") as server:
        status, text, _ = await admin(server, "/readyz")
    assert (status, "[directory-missing]" in text) == (503, True)
    assert str(tmp_path) not in text


@pytest.mark.parametrize("path", ["/metrics", "/status"])
async def test_gzip_when_asked_for(tmp_path: Path, path: str) -> None:
    """Both pages come compressed to clients that ask for it, and to no others."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path, "--metrics-per-issuer") as server:
        for accepted, coding in (
            ("gzip", "gzip"),
            ("gzip;q=0", None),
            ("identity", None),
            ("identity, gzip;q=0.5", None),
        ):
            _, text, reply = await admin(server, path, **{"Accept-Encoding": accepted})
            assert reply.headers.get("Content-Encoding") == coding
            assert reply.headers["Vary"] == "Accept-Encoding"
            assert "a.pem" in text
            assert "version" in text


async def test_pages_follow_the_keys(tmp_path: Path) -> None:
    """What was written before about an issuer is written again when its keys or files change."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path, "--metrics-per-issuer") as server:
        assert total(await samples(server), "jwks_server_keys") == 2
        (tmp_path / "two" / "b.pem").write_bytes(public_pem(key("P-256")))
        await server.log("key-published", file="b.pem")
        (tmp_path / "one" / "bad.pem").write_bytes(b"nonsense")
        await server.log("file-refused", file="bad.pem")
        found = await samples(server)
        assert total(found, "jwks_server_issuer_keys", issuer="/two") == 2
        assert total(found, "jwks_server_issuer_files_refused", issuer="/one", code="pem-missing") == 1
        _, text, _ = await admin(server, "/status")
        told = json.loads(text)["issuers"]
        assert [one["file"] for one in told["/two"]["keys"]] == ["a.pem", "b.pem"]
        assert [one["file"] for one in told["/one"]["files"]] == ["a.pem", "bad.pem"]
