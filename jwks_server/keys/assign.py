"""Files and policy -> which file publishes which key, and under which kids."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from jwks_server.errors import KeyFileError, KidConflict
from jwks_server.keys import jwk
from jwks_server.keys.allowed import alg_of, refusal, use_of
from jwks_server.keys.keyset import KeyFile
from jwks_server.keys.kinds import Use
from jwks_server.keys.policy import Policy


@dataclass(frozen=True, slots=True)
class Assigned:
    """A key, the file that it is published from, what it is for, and its kids: first the main one, then aliases."""

    file: str
    public: jwk.PublicKey
    alg: str
    use: Use
    kids: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class Collision:
    """A kid that ``jwks.toml`` gives to the keys of a file, although it is another key's.

    Attributes:
        file: The file in ``jwks.toml``.
        kid: The kid.
        owner: The file of the key that has the kid.
    """

    file: str
    kid: str
    owner: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the files give under a policy.

    Attributes:
        files: The names of the files.
        keys: Each key once, with its file and its kids, revoked ones included.
        refused: Why a file is refused, by its name.
        duplicates: The file, the thumbprint and the publishing file of each key that is found again.
        revoked: The thumbprints of the keys that the policy revokes under any of their names.
        collisions: The kids that the policy gives to a key although they are another key's.
    """

    files: frozenset[str]
    keys: tuple[Assigned, ...]
    refused: Mapping[str, KeyFileError]
    duplicates: tuple[tuple[str, str, str], ...]
    revoked: frozenset[str]
    collisions: frozenset[Collision] = frozenset()


_Owners = dict[str, tuple[str, jwk.PublicKey]]


def assign(files: Sequence[KeyFile], policy: Policy) -> Assignment:
    """Give each key a file and its kids.

    A key that is found twice is published once: from a file that leaves its kid to the policy, so that the same key as
    a JWK changes no kid; of these from the first that has a certificate for it, else from the first file. A kid that
    follows from a key itself is that key's: an alias can't take it. Where two keys would have the same kid otherwise,
    the one that ``jwks.toml`` names so is refused, else the one that its file names so, else the later file. A revoked
    key keeps no kid from another one.

    Args:
        files: Ordered by name.
        policy: What the operator decided.
    """
    errors = {file.name: error for file in files if (error := file.error or refusal(file, policy))}
    while True:
        owners = _owners([file for file in files if file.name not in errors])
        naming = _Naming(policy)
        conflicts = naming.name(owners)
        if not conflicts:
            break
        errors |= conflicts  # a key that a refused file had pushed aside as a duplicate may now be published
    assigned, collisions = naming.with_aliases()
    duplicates = (
        (file.name, key.thumbprint, owners[key.thumbprint][0])
        for file in files
        if file.name not in errors
        for key in file.keys
    )
    taken = (
        Collision(file, kid, naming.owner(kid))
        for file, error in errors.items()
        if isinstance(error, KidConflict) and (kid := policy.of(file).kid) and naming.owner(kid)
    )
    return Assignment(
        files=frozenset(file.name for file in files),
        keys=tuple(assigned),
        refused=errors,
        duplicates=tuple(one for one in duplicates if one[0] != one[2]),
        revoked=frozenset(one.public.thumbprint for one in assigned if _is_revoked(one, policy)),
        collisions=collisions.union(taken),
    )


def _is_revoked(one: Assigned, policy: Policy) -> bool:
    return bool(policy.revoked) and not policy.revoked.isdisjoint({one.public.thumbprint, *one.kids})


def _owners(files: Sequence[KeyFile]) -> _Owners:
    """Find the file that each key, by thumbprint, is published from."""
    owners: _Owners = {}
    for file in files:
        for key in file.keys:
            held = owners.get(key.thumbprint)
            if held is None or _preference(key) > _preference(held[1]):
                owners[key.thumbprint] = (file.name, key)
    return owners


def _preference(key: jwk.PublicKey) -> tuple[bool, bool]:
    return key.kid is None, bool(key.x5)


class _Naming:
    """Gives keys their kids: first the main one of each, then the aliases that no other key has."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._named: list[Assigned] = []
        self._holders: dict[str, Assigned] = {}
        self._thumbprints: Mapping[str, str] = {}

    def name(self, owners: _Owners) -> Mapping[str, KeyFileError]:
        """Give each key its main kid; return the error of each file whose keys can't all have one of their own."""
        errors: dict[str, KeyFileError] = {}
        self._thumbprints = {thumbprint: file for thumbprint, (file, _) in owners.items()}
        for file, keys in sorted(_by_file(owners), key=self._rank):
            try:
                own = [_assigned(file, key, self._policy) for key in keys]
                live = [one for one in own if not _is_revoked(one, self._policy)]
                self._check_distinct(live)
            except KeyFileError as error:
                errors[file] = error
            else:
                self._named += own
                self._holders |= {one.kids[0]: one for one in live}
        return errors

    def _rank(self, group: tuple[str, Sequence[jwk.PublicKey]]) -> int:
        """Order the files: kids that follow from keys come before those that a JWK says, then jwks.toml's."""
        file, keys = group
        if self._policy.of(file).kid is not None:
            return 2
        return 1 if any(key.kid is not None for key in keys) else 0

    def with_aliases(self) -> tuple[list[Assigned], frozenset[Collision]]:
        """Drop the aliases that are repeated or belong to another key; return the keys in order, and those aliases."""
        collisions: set[Collision] = set()
        keys: list[Assigned] = []
        for one in sorted(self._named, key=lambda one: one.file):
            kids = [one.kids[0]]
            for alias in dict.fromkeys(one.kids[1:]):
                owner = self.owner(alias, one.public.thumbprint)
                if owner and not _is_revoked(one, self._policy):
                    collisions.add(Collision(one.file, alias, owner))
                elif alias not in kids:
                    kids.append(alias)
                    self._holders.setdefault(alias, one)
            keys.append(one if len(kids) == len(one.kids) else replace(one, kids=tuple(kids)))
        return keys, frozenset(collisions)

    def owner(self, kid: str, thumbprint: str = "") -> str:
        """Find the file of the other key that a kid belongs to; empty if there is none."""
        held = self._holders.get(kid)
        if held and held.public.thumbprint != thumbprint:
            return held.file
        return self._thumbprints.get(kid, "") if kid != thumbprint else ""

    def _check_distinct(self, own: Sequence[Assigned]) -> None:
        kids: set[str] = set()
        for one in own:
            if twice := kids.intersection(one.kids):
                raise KidConflict(
                    f"Two keys of this file would have the kid {min(twice)}; give one of them another kid: "
                    "in the file itself if it is a JWK Set; else split the file, or choose --kid thumbprint."
                )
            kids |= {*one.kids}
            if held := self._holders.get(one.kids[0]):
                raise KidConflict(
                    f"The kid {one.kids[0]} belongs to another key, in {held.file}; give one of them another kid: "
                    "in the file itself if it is a JWK; else rename one of the files, or choose --kid thumbprint."
                )


def _by_file(owners: _Owners) -> Iterable[tuple[str, list[jwk.PublicKey]]]:
    for file, group in itertools.groupby(sorted(owners.values(), key=_owner_name), key=_owner_name):
        yield file, [key for _, key in group]


def _owner_name(owner: tuple[str, jwk.PublicKey]) -> str:
    return owner[0]


def _assigned(file: str, key: jwk.PublicKey, policy: Policy) -> Assigned:
    said = policy.of(file)
    alg = alg_of(key, said, policy) or ""
    return Assigned(file, key, alg, use_of(key, said), (said.kid or main_kid(file, key, policy), *said.aliases))


def main_kid(file: str, key: jwk.PublicKey, policy: Policy) -> str:
    """Return the kid of a key that the policy gives none: what its file says, else what the scheme makes.

    Raises:
        KidInvalid: It would be the file's name, which can't be a kid.
    """
    if key.kid is not None:
        return key.kid
    match policy.kid:
        case "thumbprint":
            return key.thumbprint
        case "spki-sha256":
            return key.spki_sha256
        case "filename":
            return jwk.filename_kid(file)
