"""Environment variables that begin like this program's and have no effect."""

from pathlib import Path

import pytest
from support import key, public_pem, run, serving

from jwks_server.options.table import VARIABLES
from jwks_server.options.variables import unknown


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("JWKS_SERVER_MAXAGE", "JWKS_SERVER_MAX_AGE"),
        ("JWKS_SERVER_RETAINS", "JWKS_SERVER_RETAIN"),
        ("JWKS_SERVER_LOGLEVEL", "JWKS_SERVER_LOG_LEVEL"),
        ("JWKS_SERVER_bind", "JWKS_SERVER_BIND"),
        ("JWKS_SERVER_DIRECTORY", "JWKS_SERVER_DIR"),
        ("JWKS_SERVER_XYZZY", None),
        ("JWKS_SERVER_ADMIN_PORT", None),
    ],
)
def test_unknown(name: str, nearest: str | None) -> None:
    """An unknown variable is listed with the known one that is most like it."""
    (found,) = unknown({name: "x", "PATH": "/bin", "JWKS_SERVER_DIR": "keys"})
    assert found.name == name
    assert nearest is None or found.nearest == nearest
    assert name in found.reason
    assert found.nearest is None or f"did you mean {found.nearest}?" in found.reason


def test_known() -> None:
    """The options' own variables, click's, and other programs' are not listed."""
    assert unknown({**dict.fromkeys(VARIABLES, "x"), "_JWKS_SERVER_COMPLETE": "bash_source", "JWKS_MAX": "1"}) == ()


def test_variables_of_kubernetes_services() -> None:
    """What Kubernetes sets for a Service of this name, or of one that begins with it, is not listed."""
    for service in ("JWKS_SERVER", "JWKS_SERVER_METRICS"):
        names = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8080_TCP", "PORT_8080_TCP_ADDR")
        assert unknown({f"{service}_{name}": "tcp://10.0.0.1:80" for name in names}) == ()
    assert [one.name for one in unknown({"JWKS_SERVER_METRICS_PORT": "x"})] == ["JWKS_SERVER_METRICS_PORT"]


def test_port_that_kubernetes_did_not_set() -> None:
    """JWKS_SERVER_PORT is ignored in silence only with the address that Kubernetes writes there."""
    assert [one.name for one in unknown({"JWKS_SERVER_PORT": "9000"})] == ["JWKS_SERVER_PORT"]
    assert unknown({"JWKS_SERVER_PORT": "udp://[fd00::1]:53"}) == ()


def test_commands_warn_on_stderr(tmp_path: Path) -> None:
    """A command names the variable and the nearest one, and does its work."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    done = run("check", tmp_path, JWKS_SERVER_MAXAGE="60")
    assert (done.returncode, "JWKS_SERVER" in done.stdout) == (0, False)
    assert done.stderr == (
        "jwks-server: The environment variable JWKS_SERVER_MAXAGE is unknown and has no effect; "
        "did you mean JWKS_SERVER_MAX_AGE? [variable-unknown]\n"
    )


async def test_serve_warns_in_its_log(tmp_path: Path) -> None:
    """The server logs the warning once, with its code, and serves."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path, JWKS_SERVER_MAXAGE="60") as server:
        server.process.terminate()
        await server.end()
    (logged,) = [entry for entry in server.logs if entry["event"] == "variable-ignored"]
    assert (logged["level"], logged["code"]) == ("warning", "variable-unknown")
    assert (logged["variable"], logged["nearest"]) == ("JWKS_SERVER_MAXAGE", "JWKS_SERVER_MAX_AGE")
