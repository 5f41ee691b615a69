"""The image: its Dockerfile's steps, run as commands in a clean folder, since a machine may have no engine."""

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from manifests import DEPLOY, container, kustomized
from support import HANG_SECONDS, ROOT, key, public_pem

BUILD_SECONDS = 300


@dataclass(frozen=True)
class Stage:
    """One stage of a Dockerfile: its instructions in order, as word and rest."""

    steps: list[tuple[str, str]]

    def all(self, word: str) -> list[str]:
        """List what stands after a word."""
        return [rest for name, rest in self.steps if name == word]

    def one(self, word: str) -> str:
        """Give what stands after a word that is there once."""
        (only,) = self.all(word)
        return only


def read_dockerfile() -> tuple[Stage, Stage]:
    """Read the Dockerfile's two stages."""
    lines = [one for one in (DEPLOY / "Dockerfile").read_text().splitlines() if not one.startswith("#")]
    steps = [tuple(one.split(None, 1)) for one in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines() if one]
    stages: list[Stage] = []
    for word, rest in steps:
        if word == "FROM":
            stages.append(Stage([]))
        if stages:
            stages[-1].steps.append((word, rest))
    build, final = stages
    return build, final


BUILD, FINAL = read_dockerfile()
ENV = dict(one.split("=", 1) for one in shlex.split(FINAL.one("ENV")))


def context(folder: Path) -> None:
    """Copy what the .dockerignore lets through."""
    patterns = [
        one for one in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if one and not one.startswith("#")
    ]
    assert patterns[0] == "*"
    for one in patterns:
        source = ROOT / one.removeprefix("!")
        if one.startswith("!") and source.is_dir():
            shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif one.startswith("!"):
            shutil.copy(source, folder)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the image's files below a folder that stands for /, as the first stage says."""
    if not (ROOT / "jwks_server").is_dir():
        pytest.skip("the source isn't here: these tests run against the wheel")
    root = tmp_path_factory.mktemp("image")
    source, tools = root / "context", root / "tools"
    source.mkdir()
    tools.mkdir()
    context(source)
    # What the base image has on PATH.
    for name, command in (("python", sys.executable), ("pip", f"{sys.executable} -m pip")):
        (tools / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (tools / name).chmod(0o755)
    workdir = root / BUILD.one("WORKDIR").lstrip("/")
    workdir.mkdir()
    for word, rest in BUILD.steps:
        if word == "COPY":
            *sources, target = rest.split()
            for one in sources:
                copy = shutil.copytree if (source / one).is_dir() else shutil.copy
                copy(source / one, workdir / target / ("" if (source / one).is_dir() else one))
        if word == "RUN":
            subprocess.run(
                ["sh", "-ec", rest.replace("/opt/", f"{root}/opt/")],
                cwd=workdir,
                env={"PATH": f"{tools}:/usr/bin:/bin", "HOME": str(root)}
                | {name: value for name, value in os.environ.items() if name.startswith("PIP_")},
                check=True,
                capture_output=True,
                timeout=BUILD_SECONDS,
            )
    shutil.rmtree(workdir)
    return root


def snapshot(root: Path) -> dict[str, int]:
    """Note each file and when it was changed."""
    return {str(one): one.lstat().st_mtime_ns for one in root.rglob("*")}


async def test_image_serves_and_is_healthy(image: Path, tmp_path: Path) -> None:
    """The entry point serves the keys, the health check finds it well, and nothing is written to the image."""
    copied = FINAL.one("COPY").split()
    assert copied == ["--from=build", "/opt/jwks-server", "/opt/jwks-server"]
    (tmp_path / "a.pem").write_bytes(public_pem(key("P-256")))
    before = snapshot(image)
    environment = {
        **ENV,
        "PATH": ENV["PATH"].replace("/opt/", f"{image}/opt/").replace("$PATH", "/usr/bin:/bin"),
        "JWKS_SERVER_BIND": "127.0.0.1:0",
        "JWKS_SERVER_ADMIN_BIND": "127.0.0.1:0",
    }
    command = [one.replace("/etc/jwks-server/keys", str(tmp_path)) for one in json.loads(FINAL.one("CMD"))]
    process = await asyncio.create_subprocess_exec(
        "/usr/bin/env", *json.loads(FINAL.one("ENTRYPOINT")), *command, env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr
        async with asyncio.timeout(HANG_SECONDS):
            entry: dict[str, str] = {}
            while entry.get("listener") != "admin":
                line = await process.stderr.readline()
                assert line, "the server ended"
                entry = json.loads(line)
            check = json.loads(FINAL.one("HEALTHCHECK").partition("CMD ")[2])
            healthy = await asyncio.create_subprocess_exec(
                "/usr/bin/env", *check, "--url", f"http://{entry['address']}/readyz", env=environment
            )
            assert await healthy.wait() == 0
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()
    assert process.returncode == 0
    assert snapshot(image) == before


def test_image_has_no_key_and_no_pip(image: Path) -> None:
    """Nothing but the program is in the image."""
    assert not [one for one in image.rglob("*.pem") if "certifi" not in one.parts]
    assert not list((image / "opt").rglob("bin/pip*"))
    assert not list((image / "opt").rglob("tests/test_service.py"))


def test_image_is_what_the_manifests_run() -> None:
    """The user, the ports and the command of the manifests are the image's."""
    pod = kustomized()
    (deployment,) = [one for one in pod if one["kind"] == "Deployment"]
    security = deployment["spec"]["template"]["spec"]["securityContext"]
    assert FINAL.one("USER") == f"{security['runAsUser']}:{security['runAsGroup']}"
    assert FINAL.one("EXPOSE").split() == [str(one["containerPort"]) for one in container(pod)["ports"]]
    assert json.loads(FINAL.one("CMD")) == container(pod)["args"]
    assert FINAL.all("RUN") == []
