"""What the chart's pods do, with the real server: they answer at both families, and ``helm test`` asks for the keys."""

import asyncio
import socket
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from manifests import Object, charted, container, the, variables
from support import HANG_SECONDS, key, public_pem, serving


async def ask(address: str, path: str, host: str) -> bytes:
    """Send a request to an address as the log names it, and give the reply's status line."""
    name, _, port = address.rpartition(":")
    async with asyncio.timeout(HANG_SECONDS):
        reader, writer = await asyncio.open_connection(name.strip("[]"), int(port))
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        reply = await reader.read()
        writer.close()
        await writer.wait_closed()
    return reply.partition(b"\r\n")[0]


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
async def test_a_pod_answers_at_both_families(tmp_path: Path) -> None:
    """With the chart's addresses, the server listens at IPv4 and IPv6, and takes probes that name the pod's address."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("P-256")))
    pod = container(charted())
    bind, admin = (variables(charted())[f"JWKS_SERVER_{name}"] for name in ("BIND", "ADMIN_BIND"))
    # On free ports, the same but for the port.
    flags = ("--bind", bind.replace("8080", "0"), "--admin-bind", admin.replace("8081", "0"))
    async with serving(tmp_path, *flags) as running:
        while len([one for one in running.logs if one["event"] == "listening"]) < len(["127.0.0.1", *"46", *"46"]):
            await running.log("listening")
        places = {(one["listener"], one["address"]) for one in running.logs if one["event"] == "listening"}
        for family, pod_ip in (("0.0.0.0:", "10.1.2.3"), ("[::]:", "[fd00::7]")):
            listeners = {listener: address for listener, address in places if address.startswith(family)}
            assert listeners.keys() == {"admin", "public"}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                path = pod[probe]["httpGet"]["path"]
                assert await ask(listeners["admin"], path, f"{pod_ip}:8081") == b"HTTP/1.1 200 OK"
            path = "/.well-known/jwks.json"
            assert await ask(listeners["public"], path, "jwks-server.jwks.svc") == b"HTTP/1.1 200 OK"


async def test_helm_test_asks_for_the_keys(tmp_path: Path) -> None:
    """The pod of ``helm test`` succeeds where the key set is served, and fails where it isn't."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("P-256")))
    (only,) = the(charted(), "Pod", "jwks-server-test")["spec"]["containers"]
    assert only["image"] == container(charted())["image"]
    *script, url = only["args"]
    assert url == "http://jwks-server.default.svc/.well-known/jwks.json"
    async with serving(tmp_path) as running:
        for target, code in ((running.url, 0), (running.url + "x", 1)):
            process = await asyncio.create_subprocess_exec(
                sys.executable, *only["command"][1:], *script, target, stdout=PIPE, stderr=PIPE
            )
            out, err = await process.communicate()
            assert process.returncode == code, err
            assert (out == f"{target} has 1 keys.\n".encode()) is (code == 0)


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({"config": {"PATH": "/keys"}}, "http://jwks-server.default.svc/keys"),
        ({"test": {"path": "/acme/keys"}}, "http://jwks-server.default.svc/acme/keys"),
        ({"tls": {"secretName": "a"}}, "https://jwks-server.default.svc/.well-known/jwks.json"),
    ],
)
def test_helm_test_asks_at_the_right_place(values: Object, url: str) -> None:
    """The test's pod is a hook, asks where the values put the key set, and reads the Secret's CA at most."""
    pod = the(charted(values), "Pod", "jwks-server-test")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert pod["spec"]["containers"][0]["args"][-1] == url
    volumes = pod["spec"].get("volumes", [])
    assert [one["secret"]["items"] for one in volumes] == [[{"key": "ca.crt", "path": "ca.crt"}]] * len(volumes)
    assert bool(volumes) is url.startswith("https:")
