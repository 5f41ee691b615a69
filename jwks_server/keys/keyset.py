"""Files and policy -> the key set, and a verdict for each file."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from jwks_server.errors import KeyFileError, KidConflict, KindNotAllowed
from jwks_server.keys import jwk, pem
from jwks_server.keys.policy import Policy

# RSA first: one client stops at the first type that it doesn't know.
_TYPE_ORDER = ("RSA", "EC", "OKP", "AKP")


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What a file of the key directory holds: its public keys, or the reason why it gives none."""

    name: str
    keys: tuple[jwk.PublicKey, ...] = ()
    error: KeyFileError | None = None


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A key of the set.

    Attributes:
        kid: RFC 7517 section 4.5.
        alg: RFC 7517 section 4.4.
        file: The name of the file that the key came from.
        key: What its bytes say.
        json: The finished JWK, as compact UTF-8 JSON.
    """

    kid: str
    alg: str
    file: str
    key: jwk.PublicKey
    json: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a file.

    Attributes:
        file: The file's name.
        kids: The keys that it put into the set.
        duplicate_of: The file that publishes the same key, where this one is left out for it.
        error: Why the file is refused.
    """

    file: str
    kids: tuple[str, ...] = ()
    duplicate_of: str | None = None
    error: KeyFileError | None = None


@dataclass(frozen=True, slots=True)
class KeySet:
    """A complete JWK Set and how it came about.

    Attributes:
        keys: In the order of publication: RSA, EC, OKP, AKP, then by file name, then by kid.
        verdicts: One for each file, by name.
        max_age: How long a cache may keep the set, in seconds.
    """

    keys: tuple[PublishedKey, ...]
    verdicts: tuple[Verdict, ...]
    max_age: int

    @property
    def body(self) -> bytes:
        """The JWK Set as compact UTF-8 JSON (RFC 7517 section 5); the same keys give the same bytes."""
        return b'{"keys":[' + b",".join(one.json for one in self.keys) + b"]}"


@dataclass(frozen=True, slots=True)
class Change:
    """A key or file whose standing is not what it was: one log line.

    Attributes:
        event: ``key-published``, ``key-withdrawn``, ``file-duplicate`` or ``file-refused``.
        fields: File, kid, alg, code and reason, as far as they apply.
    """

    event: str
    fields: Mapping[str, str]


def read_file(name: str, data: bytes, passphrase: bytes | None) -> KeyFile:
    """Read one file's bytes; whatever is wrong with them becomes the file's error.

    Args:
        name: The file's name in the key directory.
        data: Its bytes; nothing private of them is kept.
        passphrase: What opens encrypted private keys.
    """
    try:
        return KeyFile(name, tuple(jwk.public_key(found) for found in pem.parse(data, passphrase)))
    except KeyFileError as error:
        return KeyFile(name, error=error)


def build(files: Iterable[KeyFile], policy: Policy) -> KeySet:
    """Make the set that these files stand for; it may hold no key at all.

    A key that is found twice is published once, from the first file that has a certificate for it, else from
    the first file. Where two keys would have the same kid, the later file is refused.
    """
    files = sorted(files, key=lambda file: file.name)
    errors = {file.name: error for file in files if (error := file.error or _not_allowed(file, policy))}
    while True:
        owners = _owners([file for file in files if file.name not in errors])
        kids, conflicts = _kids(owners, policy)
        if not conflicts:
            break
        errors |= conflicts
    published = [_publish(kid, *owners[thumbprint], policy) for thumbprint, kid in kids.items()]
    published.sort(key=lambda one: (_TYPE_ORDER.index(one.key.kind.kty), one.file, one.kid))
    return KeySet(
        keys=tuple(published),
        verdicts=tuple(_verdict(file, errors.get(file.name), owners, kids) for file in files),
        max_age=policy.max_age,
    )


def key_changes(previous: KeySet | None, current: KeySet) -> Iterator[Change]:
    """Tell which keys came, went or changed a member between two sets."""
    before = {one.kid: one for one in previous.keys} if previous else {}
    after = {one.kid: one for one in current.keys}
    for kid, one in after.items():
        if kid not in before or before[kid].json != one.json:
            yield Change("key-published", {"file": one.file, "kid": kid, "alg": one.alg})
    for kid, one in before.items():
        if kid not in after:
            yield Change("key-withdrawn", {"file": one.file, "kid": kid, "alg": one.alg})


def file_changes(previous: KeySet | None, current: KeySet) -> Iterator[Change]:
    """Tell which files are newly refused, or newly left out as duplicates."""
    before = [_file_change(verdict) for verdict in previous.verdicts] if previous else []
    known = {change.fields["file"]: change for change in before if change}
    for verdict in current.verdicts:
        change = _file_change(verdict)
        if change is not None and known.get(verdict.file) != change:
            yield change


def _not_allowed(file: KeyFile, policy: Policy) -> KeyFileError | None:
    for key in file.keys:
        if key.kind.optional and key.kind.name not in policy.allow:
            return KindNotAllowed(
                f"Some clients reject the whole set for one {key.kind.name} key; "
                f"if all of yours can read it, start with --allow {key.kind.name}."
            )
    return None


_Owners = dict[str, tuple[str, jwk.PublicKey]]


def _owners(files: Sequence[KeyFile]) -> _Owners:
    """Find the file that each key, by thumbprint, is published from; in the files' order."""
    owners: _Owners = {}
    for file in files:
        for key in file.keys:
            held = owners.get(key.thumbprint)
            if held is None or (key.x5 and not held[1].x5):
                owners[key.thumbprint] = (file.name, key)
    return owners


def _kids(owners: _Owners, policy: Policy) -> tuple[dict[str, str], dict[str, KeyFileError]]:
    """Give each key, by thumbprint, its kid; and each file whose keys can't all have one its error."""
    kids: dict[str, str] = {}
    holders: dict[str, str] = {}
    errors: dict[str, KeyFileError] = {}
    for file, keys in _by_file(owners):
        try:
            own = {key.thumbprint: _kid(file, key, policy) for key in keys}
            _check_distinct(file, own, holders)
        except KeyFileError as error:
            errors[file] = error
        else:
            kids |= own
            holders |= dict.fromkeys(own.values(), file)
    return kids, errors


def _by_file(owners: _Owners) -> Iterable[tuple[str, list[jwk.PublicKey]]]:
    for file, group in itertools.groupby(sorted(owners.values(), key=_owner_name), key=_owner_name):
        yield file, [key for _, key in group]


def _owner_name(owner: tuple[str, jwk.PublicKey]) -> str:
    return owner[0]


def _check_distinct(file: str, own: Mapping[str, str], holders: Mapping[str, str]) -> None:
    kids = list(own.values())
    for at, kid in enumerate(kids):
        if kid in holders or kid in kids[:at]:
            raise KidConflict(
                f"The kid {kid} belongs to another key, in {holders.get(kid, file)}; "
                "give each key a file and a name of its own, or choose --kid thumbprint."
            )


def _kid(file: str, key: jwk.PublicKey, policy: Policy) -> str:
    match policy.kid:
        case "thumbprint":
            return key.thumbprint
        case "spki-sha256":
            return key.spki_sha256
        case "filename":
            return jwk.filename_kid(file)


def _publish(kid: str, file: str, key: jwk.PublicKey, policy: Policy) -> PublishedKey:
    alg = jwk.algorithm(key.kind, policy.rsa_alg, policy.ed_alg)
    members = {"kty": key.kind.kty, "kid": kid, "use": "sig", "alg": alg, **key.members, **key.x5}
    body = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return PublishedKey(kid, alg, file, key, body)


def _verdict(file: KeyFile, error: KeyFileError | None, owners: _Owners, kids: Mapping[str, str]) -> Verdict:
    if error:
        return Verdict(file.name, error=error)
    own = tuple(kids[key.thumbprint] for key in file.keys if owners[key.thumbprint][0] == file.name)
    if own:
        return Verdict(file.name, kids=own)
    return Verdict(file.name, duplicate_of=owners[file.keys[0].thumbprint][0])


def _file_change(verdict: Verdict) -> Change | None:
    if error := verdict.error:
        return Change("file-refused", {"file": verdict.file, "code": error.code, "reason": error.message})
    if verdict.duplicate_of is not None:
        return Change("file-duplicate", {"file": verdict.file, "duplicate_of": verdict.duplicate_of})
    return None
