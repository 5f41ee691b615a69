"""The real Dockerfile, built by buildah on a base of this machine's Python, and run."""

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from base_image import NAME, Buildah, make_base
from support import HANG_SECONDS, ROOT, key, private_pem

pytestmark = [
    pytest.mark.image,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: buildah mounts the image's layers"),
]
IMAGE = "localhost/jwks-server"
DEPLOY = ROOT / "deploy"
_DOWNLOAD = (sys.executable, *["-m", "pip", "download", "--quiet", "--require-hashes", "--only-binary", ":all:"])


@pytest.fixture(scope="session")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    """Build the image; every file that pip may use was downloaded before, by its hash."""
    home = tmp_path_factory.mktemp("buildah")
    buildah = Buildah(home)
    make_base(buildah)
    wheels = home / "wheels"
    for name in ("requirements.txt", "requirements-build.txt"):
        subprocess.run(
            [*_DOWNLOAD, "--dest", str(wheels), "--requirement", str(DEPLOY / name)],
            check=True,
            timeout=500,
        )
    settings = home / "pip.conf"
    settings.write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    buildah(
        *("build", "--isolation", "chroot", "--format", "docker", "--pull-never", "--file", DEPLOY / "Dockerfile"),
        *("--build-arg", f"BASE={NAME}", "--build-arg", "VERSION=1.2.3", "--build-arg", "REVISION=abcdef"),
        *("--volume", f"{wheels}:/wheels:ro", "--volume", f"{settings}:/etc/pip.conf:ro", "--tag", IMAGE, ROOT),
    )
    yield buildah
    buildah("rm", "--all")


@pytest.fixture(scope="session")
def image(buildah: Buildah) -> dict[str, Any]:
    """Give the image's description, as Docker reads it."""
    description: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", IMAGE))
    return description


def test_what_the_image_says_of_itself(image: dict[str, Any]) -> None:
    """User, ports, command, health check and labels are in the image."""
    config = image["Docker"]["config"]
    assert config["User"] == "65532:65532"
    assert set(config["ExposedPorts"]) == {"8080/tcp", "8081/tcp"}
    assert (config["Entrypoint"], config["Cmd"]) == (["jwks-server"], ["serve", "/etc/jwks-server/keys"])
    assert config["Healthcheck"]["Test"] == ["CMD", "jwks-server", "healthcheck"]
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in config["Labels"].items()}
    assert (labels["title"], labels["version"], labels["revision"]) == ("jwks-server", "1.2.3", "abcdef")
    assert labels["licenses"] == "Apache-2.0"


def test_the_history_holds_no_secret(image: dict[str, Any]) -> None:
    """What built the image leaves neither settings nor a key in its history, its environment or its files."""
    told = json.dumps([image["Docker"]["history"], image["Docker"]["config"]])
    for secret in ("PRIVATE KEY", "pip.conf", "/wheels", "index-url", "://", "PASSWORD", "TOKEN"):
        assert secret not in told.replace("https://github.com/jwks-server/jwks-server", "")


def command(buildah: Buildah, keys: Path, *words: str, user: str = "65532:65532") -> tuple[str, list[str]]:
    """Make a container with the keys; give it, and the words that run a program in it."""
    made = buildah("from", "--pull-never", IMAGE)
    mount = ("--volume", f"{keys}:/etc/jwks-server/keys:ro", "--user", user)
    return made, [*buildah.command, "run", "--isolation", "chroot", *mount, made, "--", *words]


def test_nothing_but_the_program(buildah: Buildah, keys: Path) -> None:
    """No pip, no build tool and no key is in the image; the user can write nowhere in the program."""
    made, words = command(buildah, keys, "sh", "-ec", "id -u; test ! -w /opt/jwks-server/bin")
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == "65532"
    root = Path(buildah("mount", made))
    program = root / "opt/jwks-server"
    assert [one.name for one in (root / "opt").iterdir()] == ["jwks-server"]
    assert not [*program.glob("bin/pip*"), *program.rglob("site-packages/pip")]
    assert not list(program.rglob("hatchling"))
    assert not [one for one in root.rglob("*.pem") if one.name != "cacert.pem"]
    assert not (root / "etc/pip.conf").is_file()
    assert not (root / "wheels").exists()
    buildah("rm", made)


@asynccontextmanager
async def container(buildah: Buildah, keys: Path, user: str) -> AsyncIterator[tuple[dict[str, str], str]]:
    """Run the image's command at free ports; give the addresses of both listeners, and the container."""
    words = ("jwks-server", "serve", "/etc/jwks-server/keys", "--bind", "127.0.0.1:0", "--admin-bind", "127.0.0.1:0")
    made, run = command(buildah, keys, *words, user=user)
    process = await asyncio.create_subprocess_exec(*run, stderr=asyncio.subprocess.PIPE)
    addresses: dict[str, str] = {}
    assert process.stderr is not None
    try:
        async with asyncio.timeout(HANG_SECONDS):
            while len(addresses) < 2:
                line = await process.stderr.readline()
                assert line, "the server ended"
                entry = json.loads(line)
                if entry["event"] == "listening":
                    addresses[entry["listener"]] = entry["address"]
        yield addresses, made
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()
        buildah("rm", made)


@pytest.mark.parametrize("user", ["65532:65532", "1234:1234"])
async def test_it_serves_and_is_healthy(buildah: Buildah, keys: Path, user: str) -> None:
    """Its command answers, and its health check finds it well, as its own user and as any other."""
    async with container(buildah, keys, user) as (addresses, made):
        url = f"http://{addresses['public']}/.well-known/jwks.json"
        reply = await asyncio.to_thread(urllib.request.urlopen, url, timeout=HANG_SECONDS)
        assert len(json.load(reply)["keys"]) == 1
        check = ("jwks-server", "healthcheck", "--url", f"http://{addresses['admin']}/readyz")
        await asyncio.to_thread(buildah, "run", "--isolation", "chroot", "--user", user, made, "--", *check)


def test_keys_with_the_mode_0600(buildah: Buildah, keys: Path) -> None:
    """The image's user can't read another's key; it is named, and the owner's user id reads it."""
    path = keys / "a.pem"
    path.write_bytes(private_pem(key("P-256")))
    path.chmod(0o600)
    os.chown(path, 4321, 4321)
    for user, code in (("65532:65532", 1), ("4321:4321", 0)):
        made, words = command(buildah, keys, "jwks-server", "check", "/etc/jwks-server/keys", user=user)
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode, "[file-unreadable]" in done.stdout) == (code, bool(code)), done
        buildah("rm", made)


def test_the_oci_format_drops_the_health_check(buildah: Buildah, tmp_path: Path) -> None:
    """As documented: an orchestrator's own probe is needed there."""
    buildah("push", "--quiet", "--format", "oci", "--disable-compression", IMAGE, f"oci:{tmp_path}/image")
    blobs = [one.read_bytes() for one in (tmp_path / "image/blobs").rglob("*") if one.is_file()]
    (config,) = [json.loads(one) for one in blobs if one.startswith(b"{") and b'"rootfs"' in one]
    assert config["config"]["User"] == "65532:65532"
    assert "Healthcheck" not in config["config"]
