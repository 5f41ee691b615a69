"""Files and policy -> which file publishes which key, and under which kids."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jwks_server.errors import AlgMismatch, KeyFileError, KidConflict, KindNotAllowed, KindUnsupported
from jwks_server.keys import jwk
from jwks_server.keys.keyset import KeyFile
from jwks_server.keys.kinds import Kind
from jwks_server.keys.policy import KeyPolicy, Policy


@dataclass(frozen=True, slots=True)
class Assigned:
    """A key, the file that it is published from, and its kids: the main one first, then its aliases."""

    file: str
    public: jwk.PublicKey
    alg: str
    kids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the files give under a policy.

    Attributes:
        files: The names of the files.
        keys: Each key once, with its file and its kids, revoked ones included.
        refused: Why a file is refused, by its name.
        duplicates: The file, the thumbprint and the publishing file of each key that is found again.
        revoked: The thumbprints of the keys that the policy revokes under any of their names.
    """

    files: frozenset[str]
    keys: tuple[Assigned, ...]
    refused: Mapping[str, KeyFileError]
    duplicates: tuple[tuple[str, str, str], ...]
    revoked: frozenset[str]


_Owners = dict[str, tuple[str, jwk.PublicKey]]


def assign(files: Sequence[KeyFile], policy: Policy) -> Assignment:
    """Give each key a file and its kids.

    A key that is found twice is published once, from the first file that has a certificate for it, else from
    the first file. Where two keys would have the same kid, the later file is refused.

    Args:
        files: Ordered by name.
        policy: What the operator decided.
    """
    errors = {file.name: error for file in files if (error := file.error or _refusal(file, policy))}
    while True:
        owners = _owners([file for file in files if file.name not in errors])
        assigned, conflicts = _with_kids(owners, policy)
        if not conflicts:
            break
        errors |= conflicts  # a key that a refused file had pushed aside as a duplicate may now be published
    duplicates = (
        (file.name, key.thumbprint, owners[key.thumbprint][0])
        for file in files
        if file.name not in errors
        for key in file.keys
    )
    return Assignment(
        files=frozenset(file.name for file in files),
        keys=tuple(assigned),
        refused=errors,
        duplicates=tuple(one for one in duplicates if one[0] != one[2]),
        revoked=frozenset(
            one.public.thumbprint
            for one in assigned
            if policy.revoked and not policy.revoked.isdisjoint({one.public.thumbprint, *one.kids})
        ),
    )


def _refusal(file: KeyFile, policy: Policy) -> KeyFileError | None:
    """Check a file's keys against the policy."""
    said = policy.of(file.name)
    for key in file.keys:
        kind = key.kind
        if kind.optional and kind.name not in policy.allow:
            return KindNotAllowed(
                f"Some clients reject the whole set for one {kind.name} key; "
                f"if all of yours can read it, start with --allow {kind.name}."
            )
        if not kind.sig and said.use == "sig":
            return KindUnsupported(
                f'No JWT is signed with {kind.name}; write use = "enc" in jwks.toml, or remove the file.'
            )
        alg = _alg(kind, said, policy)
        if alg is None or alg not in (kind.enc if said.use == "enc" else kind.sig):
            return AlgMismatch(
                f'A key of kind {kind.name} can\'t have use = "{said.use}" and alg = "{alg}"; fix it in jwks.toml.'
            )
    return None


def _alg(kind: Kind, said: KeyPolicy, policy: Policy) -> str | None:
    return said.alg or jwk.algorithm(kind, said.use, policy.rsa_alg, policy.ed_alg)


def _owners(files: Sequence[KeyFile]) -> _Owners:
    """Find the file that each key, by thumbprint, is published from."""
    owners: _Owners = {}
    for file in files:
        for key in file.keys:
            held = owners.get(key.thumbprint)
            if held is None or (key.x5 and not held[1].x5):
                owners[key.thumbprint] = (file.name, key)
    return owners


def _with_kids(owners: _Owners, policy: Policy) -> tuple[list[Assigned], dict[str, KeyFileError]]:
    """Name each key; a file whose keys can't all have a kid of their own gets its error instead."""
    assigned: list[Assigned] = []
    holders: dict[str, str] = {}
    errors: dict[str, KeyFileError] = {}
    for file, keys in _by_file(owners):
        try:
            own = [_assigned(file, key, policy) for key in keys]
            _check_distinct([kid for one in own for kid in one.kids], holders)
        except KeyFileError as error:
            errors[file] = error
        else:
            assigned += own
            holders |= dict.fromkeys((kid for one in own for kid in one.kids), file)
    return assigned, errors


def _by_file(owners: _Owners) -> Iterable[tuple[str, list[jwk.PublicKey]]]:
    for file, group in itertools.groupby(sorted(owners.values(), key=_owner_name), key=_owner_name):
        yield file, [key for _, key in group]


def _owner_name(owner: tuple[str, jwk.PublicKey]) -> str:
    return owner[0]


def _assigned(file: str, key: jwk.PublicKey, policy: Policy) -> Assigned:
    said = policy.of(file)
    alg = _alg(key.kind, said, policy) or ""
    return Assigned(file, key, alg, (said.kid or _kid(file, key, policy), *said.aliases))


def _kid(file: str, key: jwk.PublicKey, policy: Policy) -> str:
    match policy.kid:
        case "thumbprint":
            return key.thumbprint
        case "spki-sha256":
            return key.spki_sha256
        case "filename":
            return jwk.filename_kid(file)


def _check_distinct(own: Sequence[str], holders: Mapping[str, str]) -> None:
    for at, kid in enumerate(own):
        if kid in own[:at]:
            raise KidConflict(f"Two keys of this file would have the kid {kid}; split it, or choose --kid thumbprint.")
        if kid in holders:
            raise KidConflict(
                f"The kid {kid} belongs to another key, in {holders[kid]}; "
                "rename one of the files, or choose --kid thumbprint."
            )
