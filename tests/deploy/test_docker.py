"""What the Dockerfile says; test_image.py builds it."""

import json
import re
from dataclasses import dataclass

from manifests import DEPLOY, container, kustomized


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


def test_only_what_is_named_is_sent_to_the_build() -> None:
    """The build gets the files that the Dockerfile copies, and no key that may lie beside them."""
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    first, *others = [one for one in lines if one and not one.startswith("#")]
    copied = {one for rest in BUILD.all("COPY") for one in rest.split()[:-1]}
    assert (first, {one.removeprefix("!") for one in others if one.startswith("!")}) == ("*", copied)


def test_dependencies_are_installed_by_hash() -> None:
    """Nothing is fetched that isn't in a list with hashes, and no package runs its own code to be installed."""
    steps = [one for rest in BUILD.all("RUN") for one in rest.split(" && ")]
    for step in steps:
        if " install " in step or " wheel " in step:
            assert "--require-hashes --only-binary :all:" in step or "--no-deps" in step, step


def test_image_is_what_the_manifests_run() -> None:
    """The user, the ports and the command of the manifests are the image's."""
    pod = kustomized()
    (deployment,) = [one for one in pod if one["kind"] == "Deployment"]
    security = deployment["spec"]["template"]["spec"]["securityContext"]
    assert FINAL.one("USER") == f"{security['runAsUser']}:{security['runAsGroup']}"
    assert FINAL.one("EXPOSE").split() == [str(one["containerPort"]) for one in container(pod)["ports"]]
    assert json.loads(FINAL.one("CMD")) == container(pod)["args"]
    assert FINAL.all("RUN") == []
