"""What a key set is: its files and its keys."""

from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from jwks_server.errors import KeyFileError
from jwks_server.keys import jwk, pem
from jwks_server.keys.kinds import Use
from jwks_server.keys.policy import Policy

State = Literal["pending", "published", "retiring"]
_json = attrgetter("json")


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What a file of the key directory holds: its public keys, or the reason why it gives no key.

    Attributes:
        name: The file's path below the key directory.
        keys: Its public keys.
        error: Why it gives no key.
        world_readable: Whether every user of the machine may read it.
    """

    name: str
    keys: tuple[jwk.PublicKey, ...] = ()
    error: KeyFileError | None = None
    world_readable: bool = False

    @property
    def good(self) -> bool:
        """Whether it gives a key."""
        return not self.error


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the set, or one that will be. All times are in seconds since the epoch.

    Attributes:
        kid: RFC 7517 section 4.5.
        alg: RFC 7517 section 4.4.
        use: RFC 7517 section 4.2.
        file: The name of the file that the key came from.
        public: What its bytes say.
        json: The finished JWK, as compact UTF-8 JSON.
        state: ``pending`` until its publication, ``published``, or ``retiring`` when its file is gone.
        first_published: When clients could first see it; None while it is pending.
        safe_to_sign_at: When every verifier has seen it, unless it is withdrawn before.
        publish_at: When it enters the set, if that is declared.
        remove_at: When it leaves the set, if that is declared.
        retiring_since: When its file was found gone; None while it is there.
        retires_at: When it leaves the set, whatever the reason; None if nothing is known to end it.
    """

    kid: str
    alg: str
    use: Use
    file: str
    public: jwk.PublicKey
    json: bytes
    state: State = "published"
    first_published: float | None = None
    safe_to_sign_at: float | None = None
    publish_at: float | None = None
    remove_at: float | None = None
    retiring_since: float | None = None
    retires_at: float | None = None

    @property
    def identity(self) -> tuple[str, str]:
        """The kid and the thumbprint: a client takes two keys for the same one when both are equal."""
        return self.kid, self.public.thumbprint


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A max-age that is longer than the current one, and that caches may still hold a set for.

    Attributes:
        max_age: In seconds.
        served_until: When a set was last served with it, in seconds since the epoch.
    """

    max_age: int
    served_until: float


@dataclass(frozen=True, slots=True)
class KeySet:
    """A complete JWK Set, and the keys that will be in it.

    Attributes:
        keys: The published and the retiring ones, in order: RSA, EC, OKP, AKP, then by file name, then by kid.
        policy: What the operator decided.
        pending: The keys that are not published yet.
        next_change: When time alone will change the keys, in seconds since the epoch; None if never.
        held: Whether the files give no key, so that the keys of the last set stay.
        lifetimes: The longer max-ages that sets were served with before.
        revoked: The kids and thumbprints of the keys of earlier sets that the policy revokes. A kid may belong to
            another key now, and still revokes its old key.
    """

    keys: tuple[Key, ...]
    policy: Policy
    pending: tuple[Key, ...] = ()
    next_change: float | None = None
    held: bool = False
    lifetimes: tuple[Lifetime, ...] = ()
    revoked: frozenset[tuple[str, str]] = frozenset()

    @property
    def body(self) -> bytes:
        """The JWK Set as compact UTF-8 JSON (RFC 7517 section 5); the same keys give the same bytes."""
        return b'{"keys":[' + b",".join(map(_json, self.keys)) + b"]}"

    @property
    def digest(self) -> str:
        """SHA-256 of the body, as base64url: what its entity tag is too, so that replicas can be compared."""
        return jwk.digest(self.body)


def read_file(name: str, data: bytes, passphrase: bytes | None) -> KeyFile:
    """Read one file's bytes; what is wrong with them becomes the file's error.

    Args:
        name: The file's name in the key directory.
        data: Its bytes; nothing private of them is kept.
        passphrase: What opens encrypted private keys.
    """
    try:
        return KeyFile(name, tuple(jwk.public_key(found) for found in pem.parse(data, passphrase)))
    except KeyFileError as error:
        return KeyFile(name, error=error)
