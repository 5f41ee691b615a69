"""diff DIR URL: what a live endpoint, a cache or a CDN serves against what the directory says."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from jwks_server.commands import output
from jwks_server.commands.arguments import Argument, Command, directory_argument, json_option, key_options
from jwks_server.errors import ConfigError
from jwks_server.options.settings import Settings
from jwks_server.published.representation import Representation
from jwks_server.remote import client
from jwks_server.source.issuers import Published, published, set_path

_EPILOG = "A URL without a path stands for all that is served there. Retiring keys are known from --state only."
_EXITS = {
    0: "There is no difference.",
    1: "There is a difference, or an issuer has a fault and was not compared.",
    2: "DIR or URL can't be read, or the command is called wrongly.",
}
_SHOWN = 40

Difference = Mapping[str, Any]


@click.command(name="diff", cls=Command, epilog=_EPILOG, exits=_EXITS)
@directory_argument
@click.argument("url", cls=Argument, metavar="URL")
@key_options
@json_option
def command(*, settings: Settings, url: str, as_json: bool) -> None:
    """Compare what URL serves with what DIR says."""
    found = published(settings)
    output.faults(found.faults)
    reports = [_report(page, client.get(at)) for at, page in _pages(url, found, settings)]
    if as_json:
        faults = {issuer: output.described(fault) for issuer, fault in found.faults.items()}
        output.document({"pages": reports, "faults": faults})
    else:
        for report in reports:
            _print(report)
    sys.exit(1 if found.faults or any(report["differences"] for report in reports) else 0)


def _pages(url: str, found: Published, settings: Settings) -> Iterator[tuple[str, Representation]]:
    """Find the pages that the URL stands for: all if it has no path, else the page at its path, else the only set."""
    pages = {path: page for entry in found.entries.values() for path, page in entry.pages.items()}
    asked = client.parse_url(url)
    if asked.path == "/" and "/" not in pages:
        yield from ((str(asked.with_path(path)), page) for path, page in sorted(pages.items()))
    elif asked.path in pages:
        yield url, pages[asked.path]
    elif len(found.entries) == 1 and not found.faults:
        (issuer,) = found.entries
        yield url, pages[set_path(issuer, settings)]
    elif found.entries and asked.path not in {set_path(issuer, settings) for issuer in found.faults}:
        raise ConfigError(f"No issuer is served at the path of {url}; write one of {', '.join(sorted(pages))}.")


def _report(page: Representation, answer: client.Answer) -> dict[str, Any]:
    plain = next(variant for variant in page.variants if variant.coding == "identity")
    differences = list(compare(json.loads(plain.body), answer))
    return {
        "url": answer.url,
        "same_bytes": plain.body == answer.body,
        "etag": {"directory": plain.etag, "url": answer.etag},
        "age": answer.age,
        "max_age": answer.max_age,
        "stale": bool(differences and answer.age),
        "differences": differences,
    }


def compare(ours: Mapping[str, Any], answer: client.Answer) -> Iterator[Difference]:
    """List what is different: keys by their kid if the document is a JWK Set, else its members."""
    if "keys" not in ours:
        yield from _members("", ours, answer.document())
        return
    mine, theirs = _by_kid(ours["keys"]), _by_kid(answer.keys())
    for kid in sorted(mine.keys() - theirs.keys()):
        yield {"what": "missing", "kid": kid}
    for kid in sorted(theirs.keys() - mine.keys()):
        yield {"what": "extra", "kid": kid}
    for kid in sorted(mine.keys() & theirs.keys()):
        if len(theirs[kid]) > 1:
            yield {"what": "repeated", "kid": kid}
        yield from _members(kid, mine[kid][0], theirs[kid][0])


def _by_kid(keys: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    named: dict[str, list[Mapping[str, Any]]] = {}
    for key in keys:
        named.setdefault(str(key.get("kid", "(none)")), []).append(key)
    return named


def _members(kid: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get(name), theirs.get(name)
        if mine != other:
            yield {"what": "differs", "kid": kid, "member": name, "directory": mine, "url": other}


def _print(report: Mapping[str, Any]) -> None:
    differences: Sequence[Difference] = report["differences"]
    if not differences:
        output.line(f"{report['url']}: no difference{'' if report['same_bytes'] else ', though in other bytes'}.")
        return
    age = "no Age" if report["age"] is None else f"Age {report['age']} s"
    output.line(f"{report['url']}: {age}, max-age {report['max_age']} s, ETag {report['etag']['url']}")
    if report["stale"]:
        output.line(f"A cache answered; the directory's ETag is {report['etag']['directory']}.")
    output.table(("WHAT", "KID", "MEMBER", "DIRECTORY", "URL"), [_row(difference) for difference in differences])


def _row(difference: Difference) -> tuple[str, str, str, str, str]:
    values = (_short(difference.get(side)) if "member" in difference else "" for side in ("directory", "url"))
    return (difference["what"], difference["kid"], difference.get("member", ""), *values)


def _short(value: object) -> str:
    text = "-" if value is None else json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
