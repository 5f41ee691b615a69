"""Environment variables that look like this program's and are not: usually misspelt names."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from jwks_server.options.option import PREFIX
from jwks_server.options.table import VARIABLES

CODE = "variable-unknown"

# What Kubernetes sets in a pod for each Service of its namespace, after the Service's name.
_OF_SERVICE = re.compile(r"SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)|PORT(?:_[A-Z0-9_]+)?")
_HOST = "_SERVICE_HOST"
_PORT = "PORT"


@dataclass(frozen=True, slots=True)
class Unknown:
    """A variable that no option reads.

    Attributes:
        name: Its name.
        nearest: The known variable whose name is most like it; None where none is similar.
    """

    name: str
    nearest: str | None

    @property
    def reason(self) -> str:
        """What is wrong, and the way out."""
        advice = f"did you mean {self.nearest}?" if self.nearest else "see jwks-server serve --help for the known ones."
        return f"The environment variable {self.name} is unknown and has no effect; {advice}"


def unknown(environment: Mapping[str, str]) -> tuple[Unknown, ...]:
    """List the variables that begin with JWKS_SERVER_ and that neither an option nor a Kubernetes Service explains."""
    # A Service whose name only begins with jwks-server is known by its host variable.
    services = {PREFIX, *(f"{name.removesuffix(_HOST)}_" for name in environment if name.endswith(_HOST))}
    return tuple(
        Unknown(name, _nearest(name))
        for name, value in sorted(environment.items())
        if name.startswith(PREFIX)
        and name not in VARIABLES
        and not any(_is_of(name, value, service) for service in services)
    )


def _is_of(name: str, value: str, service: str) -> bool:
    if not name.startswith(service):
        return False
    rest = name.removeprefix(service)
    # Kubernetes writes tcp://10.0.0.1:80 here; a number is that of someone who expects an option of this name.
    return bool(_OF_SERVICE.fullmatch(rest)) and (rest != _PORT or "://" in value)


def _nearest(name: str) -> str | None:
    # The prefix, which all have in common, would make any two names look similar.
    known = {one.removeprefix(PREFIX): one for one in VARIABLES}
    given = name.removeprefix(PREFIX).upper()
    similar = difflib.get_close_matches(given, sorted(known), n=1)
    longer = [one for one in sorted(known) if given.startswith(one)]  # as DIRECTORY for DIR
    return next((known[one] for one in (*similar, *longer)), None)
