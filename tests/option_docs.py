"""The option table as the Helm chart's schema has it; ``make reference`` writes the schema."""

from typing import Any

import click

from jwks_server.options.option import Option
from jwks_server.options.table import SERVE

# The chart makes these listeners and files itself.
SET_BY_CHART = ("DIR", "BIND", "ADMIN_BIND", "STATE", "TLS_CERT", "TLS_KEY")
# The chart adds these to get the time in which Kubernetes lets a pod end, so they are whole.
WHOLE = ("DRAIN", "SHUTDOWN_TIMEOUT")
# What a text must look like; the server checks it in full, and refuses an empty one.
TEXTS = {"PATH": "^/.", "MEDIA_TYPE": "^[^/ ]+/[^/ ]+", "UNIX_MODE": "^[0-7]{1,3}$"}
NOT_EMPTY = r"\S"


def helm_settings() -> dict[str, Any]:
    """Write the settings that the chart's values may have, as a JSON Schema's properties."""
    properties: dict[str, Any] = {}
    for option in SERVE:
        name = str(option.variable).removeprefix("JWKS_SERVER_")
        if name not in SET_BY_CHART:
            properties[name] = {"description": option.help, **_schema(option, TEXTS.get(name, NOT_EMPTY))}
            if name in WHOLE:
                properties[name]["type"] = "integer"
    return properties


def _schema(option: Option, text: str) -> dict[str, Any]:
    match option.type:
        case None:
            return {"type": "boolean"}
        case click.Choice() if option.repeatable:
            one = f"({'|'.join(option.choices)})"
            return {"type": "string", "pattern": f"^{one}( {one})*$"}
        case click.Choice(case_sensitive=False):
            return {"enum": [*option.choices, *(one.upper() for one in option.choices)]}
        case click.Choice():
            return {"enum": list(option.choices)}
        case click.IntRange(min=least, max=most) | click.FloatRange(min=least, max=most):
            kind = "integer" if isinstance(option.type, click.IntRange) else "number"
            bounds = {"minimum": least, "maximum": most}
            return {"type": kind, **{name: bound for name, bound in bounds.items() if bound is not None}}
        case _:
            return {"type": "string", "pattern": text}
