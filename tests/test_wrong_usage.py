"""Wrong usages: each is told in one sentence with its code, has the right exit code, and loses nothing."""

import hashlib
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import click
import pytest
from support import key, private_pem, public_pem, sign

from jwks_server import cli
from jwks_server.options.option import Option, Seconds, Whole
from jwks_server.options.table import SERVE

Usage = tuple[list[str], Mapping[str, str], int, str, str]
COMMANDS: Mapping[str, list[str]] = {
    "check": ["KEYS"],
    "completion": ["bash"],
    "diff": ["KEYS", "http://127.0.0.1:1/jwks"],
    "healthcheck": [],
    "inspect": ["KEYS/a.pem"],
    "kid": ["KEYS/a.pem"],
    "render": ["KEYS", "--out", "OUT"],
    "serve": ["KEYS"],
    "verify": ["TOKEN", "KEYS"],
    "version": [],
    "wait": ["kid", "http://127.0.0.1:1/jwks"],
}
SENTENCE = re.compile(r"jwks-server: [^\n]{10,} \[[a-z]+(-[a-z]+)*\]\n")


def usage(
    *arguments: str,
    code: int = 2,
    kind: str = "config-invalid",
    says: str = "",
    by: Mapping[str, str] = MappingProxyType({}),
) -> Usage:
    """Make a row of the table: the words, the exit code, the error's code, a part of the sentence, the variables."""
    return list(arguments), by, code, kind, says


def called_wrongly() -> Iterator[Usage]:
    """No command, an unknown one, and each command with too few arguments, too many, empty ones and unknown flags."""
    yield usage("frobnicate", says="frobnicate")
    yield usage("Check", "KEYS")
    yield usage("", says="No such command")
    yield usage("--frobnicate", says="--frobnicate")
    for name, arguments in COMMANDS.items():
        yield usage(name, "--frobnicate", *arguments)
        if name != "wait":  # any number of URLs
            yield (
                usage(name, *arguments, "more")
                if name != "verify"
                else usage(name, *arguments, "MISSING", kind="directory-missing")
            )
        if arguments:
            yield usage(name)
            for number in range(len(arguments)):
                words = [*arguments[:number], "", *arguments[number + 1 :]]
                yield usage(name, *words, says="" if "OUT" in words[2:] and number == 1 else "empty")
        yield usage(name, *arguments, "--json=yes")
        yield usage(name, *arguments, "-----BEGIN PRIVATE KEY-----", says="holds a key")


def bad_values(option: Option) -> Iterable[str]:
    """List values that an option refuses because of its type."""
    match option.type:
        case Seconds():
            return ("soon", "-1", "nan", "inf", "1e99", "1_0")
        case Whole():
            return ("x", "1.5", "-1", "99999999999", "0x10", "1_0")
        case click.Choice():
            return ("nope", "rs256 ", "-")
        case _:
            return ()


def options() -> Iterator[Usage]:
    """Each option of the server: values of another type, out of range and empty ones, by flag and by variable."""
    for option in SERVE:
        if option.type is None:
            yield usage("serve", "KEYS", f"{option.flag}=yes", says=option.flag)
            yield usage("serve", "KEYS", says=str(option.variable), by={str(option.variable): "maybe"})
            continue
        yield usage("serve", "KEYS", option.flag)
        yield usage("serve", "KEYS", option.flag, "", says=f"{option.flag} is empty")
        yield usage("serve", "KEYS", says=f"{option.variable} is empty", by={str(option.variable): ""})
        for value in bad_values(option):
            yield usage("serve", "KEYS", option.flag, value, says=option.flag)
        for value in list(bad_values(option))[:1]:
            yield usage("serve", "KEYS", says=str(option.variable), by={str(option.variable): value})
    yield usage("check", says="JWKS_SERVER_DIR", by={"JWKS_SERVER_DIR": ""})
    yield usage("check", says="JWKS_SERVER_DIR", by={"JWKS_SERVER_DIR": " "})
    yield usage("healthcheck", says="JWKS_SERVER_URL", by={"JWKS_SERVER_URL": ""})
    yield usage("healthcheck", says="JWKS_SERVER_ADMIN_BIND", by={"JWKS_SERVER_ADMIN_BIND": ""})
    yield usage("serve", "KEYS", says="JWKS_SERVER_BIND nowhere", by={"JWKS_SERVER_BIND": "nowhere"})


TEXTS: Mapping[str, tuple[str, ...]] = {
    "--bind": (
        *("nowhere", ":", "a:b", "127.0.0.1:65536", "127.0.0.1:-1", "::1:80", "[::1]", "[::g]:80", "[127.0.0.1]:80"),
        *("127.0.0.1", "a b:80", "unix:", "fd:", "fd:x", "fd:-1", "http://127.0.0.1:80", ".:80", "unix:" + "x" * 108),
    ),
    "--admin-bind": ("nowhere", "OFF", "127.0.0.1:x", "unix:", "fd:one"),
    "--admin-host": ("a b", "a:80", "http://a", "a/b", "-a", "*", "x" * 300),
    "--path": (
        "keys",
        "/",
        "//a",
        "/a/",
        "/a b",
        "/a?b",
        "/a#b",
        "/../a",
        "/a/.",
        "/%41",
        "/.well-known/openid-configuration",
    ),
    "--media-type": ("json", "application/", "/json", "application/json; charset", "a/b\nc: d", "a b/c"),
    "--pattern": ("a/*.pem", ".*", "[z-a]", "[!9-0].pem", "x[ab-a]", "../*"),
    "--trusted-proxy": ("10.0.0.1/8", "proxy", "10.0.0.0/33", "10.0.0.0,10.1.0.0", "UNIX"),
    "--unix-mode": ("rw", "888", "1777", "-1", "0x1ff"),
    "--passphrase-file": ("MISSING", "KEYS", "KEYS/a.pem/b", "LOOP"),
    "--state": ("KEYS",),
    "--tls-cert": ("KEYS", "KEYS/a.pem"),
    "--tls-key": ("KEYS", "KEYS/a.pem"),
}


def texts() -> Iterator[Usage]:
    """Each option whose value is a text with rules of its own, and options that exclude each other."""
    for flag, values in TEXTS.items():
        for value in values:
            yield usage("serve", "KEYS", flag, value)
    yield usage("serve", "KEYS", "--bind", "127.0.0.1:1", "--bind", "127.0.0.1:1", says="twice")
    yield usage("serve", "KEYS", "--bind", "unix:/x", "--bind", "unix:/x", says="twice")
    yield usage("serve", "KEYS", "--bind", "fd:7", "--bind", "fd:7", says="twice")
    yield usage("serve", "KEYS", "--bind", "127.0.0.1:1", "--admin-bind", "127.0.0.1:1", says="twice")
    yield usage("wait", "kid", "http://a", "--safe", "--gone")
    yield usage("wait", "kid", "http://a", "--published-at", "2026-11-24T08:00:00Z")
    for time in ("now", "", "2026-11-24", "2026-11-24T08:00:00", "9999-01-01T00:00:00Z", "0"):
        yield usage("wait", "kid", "http://a", "--safe", "--published-at", time)
    for flag in ("--interval", "--timeout", "--propagation"):
        for value in ("x", "", "-1", "nan"):
            yield usage("wait", "kid", "http://a", flag, value, says=flag)
    for value in ("0", "x", ""):
        yield usage("healthcheck", "--timeout", value, says="--timeout")
    for value in ("ftp://a", "a", "http://", "https://127.0.0.1/", "http://u:secret@a/", "http://a:x/", "http://[::1/"):
        yield usage("healthcheck", "--url", value)
        yield usage("wait", "kid", value.replace("https://127.0.0.1/", "mailto:a"))
        yield usage("diff", "KEYS", value.replace("https://127.0.0.1/", "KEYS"))
    for value in ("off", "unix:/x", "fd:3", "127.0.0.1:0", "nowhere"):
        yield usage("healthcheck", by={"JWKS_SERVER_ADMIN_BIND": value})


def directories() -> Iterator[Usage]:
    """Directories, state files and URLs that are not what the command needs."""
    for name in ("check", "diff", "render", "verify"):
        before, after = COMMANDS[name][: name == "verify"], COMMANDS[name][1 + (name == "verify") :]
        for place in ("MISSING", "KEYS/missing"):
            yield usage(name, *before, place, *after, kind="directory-missing")
        for place in ("KEYS/a.pem", "LOOP", "KEYS/a.pem/b", "x" * 300):
            yield usage(name, *before, place, *after, kind="directory-unreadable")
        for state, kind in (("DAMAGED", "state-damaged"), ("LOOP", "state-unusable")):
            yield usage(name, *COMMANDS[name], "--state", state, kind=kind)
        yield usage(name, *COMMANDS[name], "--passphrase-file", "MISSING")
    for name in ("check", "diff", "render", "serve"):
        yield usage(name, "http://a/", *COMMANDS[name][1:], says="is a URL")
    yield usage("diff", "http://127.0.0.1:1/", "KEYS", says="DIR stands before")
    yield usage("diff", *COMMANDS["diff"], kind="fetch-failed")
    yield usage("verify", "TOKEN", "http://127.0.0.1:1/", kind="fetch-failed")


def files() -> Iterator[Usage]:
    """Key files that give no key, or can't be read."""
    for name in ("kid", "inspect"):
        for file in ("MISSING", "LOOP", "KEYS/a.pem/b", "x" * 300, "DANGLING"):
            yield usage(name, file, kind="file-unreadable")
        yield usage(name, "KEYS", kind="file-not-regular", says="directory")
        yield usage(name, "FIFO", kind="file-not-regular")
        for file, kind in (
            ("EMPTY", "pem-missing"),
            ("LARGE", "file-too-large"),
            ("CUT", "pem-malformed"),
            ("LOCKED", "passphrase-missing"),
            ("X25519", "kind-unsupported"),
        ):
            if (name, kind) != ("kid", "kind-unsupported"):
                yield usage(name, file, code=1, kind=kind)
        yield usage(name, "LOCKED", "--passphrase-file", "KEYS/a.pem", code=1, kind="passphrase-wrong")


def outputs_and_tokens() -> Iterator[Usage]:
    """Folders that must not be written to, and texts that are not tokens."""
    for out in ("KEYS", "KEYS/out", "PARENT", "LINK"):
        yield usage("render", "KEYS", "--out", out, says="overlap")
    for out in ("EMPTY", "EMPTY/out", "LOOP", "FOREIGN"):
        yield usage("render", "KEYS", "--out", out, kind="output-unusable")
    for token in ("x", "a.b.c", "..", "a.b.c.d.e", "eyJhbGciOiJSUzI1NiJ9"):
        yield usage("verify", token, "KEYS", kind="token-malformed")
    yield usage("verify", "-", "KEYS", says="standard input")
    for token in ("eyJhbGciOiJIUzI1NiJ9.e30.AA", "eyJhbGciOiJub25lIn0.e30."):
        yield usage("verify", token, "KEYS", kind="token-alg-unsupported")


TABLE = [*called_wrongly(), *options(), *texts(), *directories(), *files(), *outputs_and_tokens()]


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """Make the files and folders that the table names in capital letters."""
    keys, other = tmp_path / "parent" / "keys", tmp_path / "other"
    keys.mkdir(parents=True)
    other.mkdir()
    (keys / "a.pem").write_bytes(public_pem(key("P-256")))
    (other / "empty").write_bytes(b"")
    (other / "large").write_bytes(b"x" * 70_000)
    (other / "cut.pem").write_bytes(public_pem(key("P-256"))[:-30])
    (other / "locked.pem").write_bytes(private_pem(key("P-256"), encrypted=True))
    (other / "x25519.pem").write_bytes(public_pem(key("X25519")))
    (other / "damaged").write_bytes(b"{")
    (other / "loop").symlink_to("loop")
    (other / "dangling").symlink_to("nothing")
    (other / "link").symlink_to(keys)
    (other / "foreign" / ".well-known" / "jwks.json").mkdir(parents=True)
    (other / "foreign" / ".well-known" / "jwks.json" / "mine").write_bytes(b"mine")
    os.mkfifo(other / "fifo")
    named = {
        "KEYS": keys,
        "PARENT": keys.parent,
        "MISSING": other / "missing",
        "OUT": other / "out",
        **{name.upper(): other / name for name in ("damaged", "dangling", "empty", "fifo", "foreign", "large", "link")},
        **{name.upper(): other / f"{name}.pem" for name in ("cut", "locked", "x25519")},
        "LOOP": other / "loop",
    }
    return {**{name: str(path) for name, path in named.items()}, "TOKEN": sign(key("P-256"), "ES256", "nobody")}


def resolved(word: str, places: Mapping[str, str]) -> str:
    """Put a path in the place of its name."""
    name, slash, rest = word.partition("/")
    return places.get(name, name) + slash + rest


def contents(folder: Path) -> dict[str, str]:
    """Describe each file below a folder, with its mode and what it holds."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        held = path.read_bytes() if stat.S_ISREG(mode) else str(path.readlink()).encode() if stat.S_ISLNK(mode) else b""
        found[str(path)] = f"{mode:o} {hashlib.sha256(held).hexdigest()}"
    return found


def test_the_table_is_long() -> None:
    """There are at least 250 usages, and no two are the same."""
    assert len({str(row[:2]) for row in TABLE}) == len(TABLE) >= 250


@pytest.mark.parametrize("row", TABLE, ids=[" ".join(row[0])[:60] for row in TABLE])
def test_one_sentence_and_the_right_code(
    row: Usage,
    places: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A wrong usage is one sentence on standard error that ends with its code; nothing is printed, made or changed."""
    words, environment, code, kind, says = row
    monkeypatch.setattr(sys, "argv", ["jwks-server", *(resolved(word, places) for word in words)])
    monkeypatch.setattr(sys, "stdin", None)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = contents(tmp_path)
    with pytest.raises(SystemExit) as end:
        cli.main()
    told = capfd.readouterr()
    assert SENTENCE.fullmatch(told.err), told.err
    assert (end.value.code, told.out) == (code, "")
    assert told.err.endswith(f" [{kind}]\n")
    assert says in told.err
    assert "secret" not in told.err
    assert contents(tmp_path) == before
