"""The man page, written from the commands and their options; ``make reference`` writes it, and a test compares."""

import re
from collections.abc import Iterable, Iterator

from reference import commands

from jwks_server.options.option import Option
from jwks_server.options.table import DIRECTORY_VARIABLE, JSON, KEY_OPTIONS, SERVE

DESCRIPTION = """\
jwks-server publishes the public keys in a directory of PEM files as a JWK Set (RFC 7517) at /.well-known/jwks.json.
It follows the directory: a file that is added, changed or removed is published or withdrawn within milliseconds.
It reads private keys too, and publishes their public halves only.

serve runs the server. The other commands show what it decides, before or after it does.
Each folder in DIR that has a key is an issuer of its own, below its own path.

jwks-server COMMAND --help shows the options of a command, and jwks-server --version shows the version."""

FILES = (
    ("DIR/*.pem, DIR/tls.crt", "The keys. --pattern chooses other names."),
    ("DIR/jwks.toml", "An optional policy: when to publish and remove a key, which keys are revoked, and more."),
    ("DIR/NAME/", "A folder of keys, which are served at /NAME/.well-known/jwks.json."),
    ("FILE, .FILE.lock", "The state of --state FILE, and the lock of the server that writes it."),
)

SIGNALS = (
    ("SIGHUP", "Read every file again."),
    ("SIGTERM, SIGINT", "End after --drain and --shutdown-timeout; a second one ends the server at once."),
    ("SIGUSR1, SIGUSR2", "No effect."),
)

EXAMPLES = (
    (
        "Make a key, look at what becomes of it, and serve it:",
        (
            "mkdir keys",
            "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out keys/2026-12.pem",
            "jwks-server check keys",
            "jwks-server serve keys",
        ),
    ),
    (
        "Wait until it is safe to sign with a key:",
        ("jwks-server wait KID https://id.example.com/.well-known/jwks.json --safe",),
    ),
)

ENVIRONMENT = f"""\
Each option with a variable can be set by it, and a flag overrides its variable. In a variable, the values of an option
that can be repeated are separated by spaces. {DIRECTORY_VARIABLE} sets DIR."""

COLORS = "NO_COLOR and TERM=dumb turn colors off, FORCE_COLOR turns them on."

COMMON_EXITS = """\
Every command exits with 0 if the answer is yes, with 1 if it is no, and with 2 if there is no answer. It exits with 130
after Ctrl-C, and with 141 if the reader of its output has closed the pipe. serve exits with 0 after Ctrl-C."""

SEE_ALSO = "https://github.com/jwks-server/jwks-server/tree/main/docs"


def page() -> str:
    """Write the man page. It has neither date nor version, which would make it stale."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield '.\\" Written from the code by make reference; do not edit.'
    yield '.TH JWKS\\-SERVER 1 "" "jwks\\-server" "User Commands"'
    yield from (".SH NAME", "jwks\\-server \\- publish a directory of PEM files as a JWK Set")
    yield ".SH SYNOPSIS"
    for number, name in enumerate(sorted(commands.COMMANDS, key=lambda one: one != "serve")):
        yield from ([".br"] if number else [])
        yield _usage(name)
    yield ".SH DESCRIPTION"
    yield from _paragraphs(DESCRIPTION)
    yield ".SH COMMANDS"
    for name in commands.COMMANDS:
        yield from _command(name)
    yield ".SH OPTIONS OF SERVE"
    for group, listed in commands.by_group(SERVE).items():
        yield f".SS {_roff(group)}"
        yield from _options(listed)
    yield ".SH EXIT STATUS"
    yield from _paragraphs(COMMON_EXITS)
    for name, command in commands.COMMANDS.items():
        yield f".SS {_roff(name)}"
        yield from _items((str(code), meaning) for code, meaning in command.exits.items())
    yield ".SH ENVIRONMENT"
    yield from _paragraphs(ENVIRONMENT)
    yield from (".PP", _roff(COLORS))
    yield ".SH FILES"
    yield from _items(FILES)
    yield ".SH SIGNALS"
    yield from _items(SIGNALS)
    yield ".SH EXAMPLES"
    for text, lines in EXAMPLES:
        yield from (".PP", _roff(text), ".PP", ".nf", ".RS", *map(_roff, lines), ".RE", ".fi")
    yield from (".SH SEE ALSO", "openssl\\-genpkey(1ssl)", ".PP", _roff(SEE_ALSO))


def _command(name: str) -> Iterator[str]:
    command = commands.COMMANDS[name]
    yield from (f".SS {_roff(name)}", _usage(name))
    yield from _paragraphs(str(command.help))
    yield from _paragraphs(command.epilog or "")
    yield from _options([] if name == "serve" else commands.own_options(command))
    if name != "serve" and commands.takes_key_options(command):
        listed = ", ".join(one.flag for one in KEY_OPTIONS)
        yield from (".PP", _roff(f"It also takes these options of serve: {listed}."))


def _options(listed: Iterable[Option]) -> Iterator[str]:
    return _items((commands.flag(one), _described(one)) for one in listed)


def _described(option: Option) -> str:
    if option is JSON:
        return option.help
    values, default = commands.values(option), commands.default(option)
    facts = (
        ("Values", "" if values.startswith(("a ", "an ")) else values),
        ("Default", "" if option.type is None else default),
        ("Variable", option.variable or ""),
    )
    return " ".join((option.help, *(f"{name}: {value}." for name, value in facts if value))).replace("`", "")


def _items(items: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, text in items:
        yield from (".TP", f"\\fB{_roff(name)}\\fR", _roff(text))


def _usage(name: str) -> str:
    program, command, *rest = commands.usage(name).split()
    return f"\\fB{_roff(program)} {_roff(command)}\\fR {_roff(' '.join(rest))}"


def _paragraphs(text: str) -> Iterator[str]:
    for one in text.split("\n\n"):
        if one.strip():
            yield from (".PP", _roff(" ".join(one.split())))


def _roff(text: str) -> str:
    """Escape what roff would read as its own: backslashes, dashes, and a dot or a quote at a line's beginning."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha")
    return re.sub(r"^(?=[.'])", r"\\&", escaped)
