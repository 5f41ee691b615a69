"""Every error of the program, as one tree.

    JwksError
    |-- ConfigError                a flag or its value is wrong; exit code 2
    |-- ListenError                an address can't be listened on; exit code 1
    |-- ParserMissing              aiohttp would use its lax parser in Python; exit code 1
    |-- TaskDied                   a background task ended; exit code 1
    |-- TlsInvalid                 the certificate or its key; exit code 1 at start, later the last good pair stays
    |   `-- TlsExpired, TlsNotYetValid    the certificate's period; at start it is used all the same
    |-- StateDamaged, StateUnusable    the state file; the server continues without it
    |   `-- StateLocked, StateNewer    the file belongs to another server, or to a newer version; it stays as it is
    |-- EditionDamaged             bytes from another process that are not an edition
    |-- OutputUnusable             render's folder, or standard output; exit code 2
    |-- FetchFailed                a URL doesn't give a JWK Set; exit code 2
    |-- WaitTimeout                the awaited change didn't happen in time; exit code 1
    |-- TokenMalformed, TokenAlgUnsupported    no answer about a token; exit code 2
    |-- TokenRefused               no published key verifies a token; exit code 1
    |   |-- KidUnknown, KeyPending, KeyRetired, KeyRevoked, KeyNotVisible
    |   `-- TokenAlgMismatch, SignatureWrong
    |-- SourceError                an issuer's folder as a whole; its last good set stays
    |   |-- DirectoryMissing
    |   |-- DirectoryUnreadable
    |   |-- IssuerNameInvalid
    |   `-- NoKeys, PolicyInvalid
    |-- KeyFileError               one file; the other files are not affected
    |   |-- FileUnreadable, FileNotRegular, FileTooLarge
    |   |-- PemMissing, PemMalformed, PemUnsupported
    |   |-- JwkMissing, JwkMalformed
    |   |-- PassphraseMissing, PassphraseWrong
    |   |-- KeyMalformed, KeyInconsistent, KeyTooSmall, KeySymmetric
    |   |-- KindUnsupported, KindNotAllowed
    |   `-- CertificateMismatch, AlgMismatch, KidConflict, KidInvalid
    `-- Problem                    one request; an RFC 9457 problem document
        |-- BadRequest, NotFound, MethodNotAllowed, NotAcceptable, RequestTimeout, PreconditionFailed
        |-- HeadTooLarge, HostNotServed, VersionUnsupported
        `-- InternalError, NoKeySet, NotReady, StreamsBusy

A ``code`` is stable: logs, metrics, the command line, HTTP and docs/reference/error-codes.md use the same
one. A message says the rule that was broken and the way out; it never holds key material.
"""

from typing import ClassVar


class JwksError(Exception):
    """The base of all errors that this program raises.

    Two errors are equal if their type and message are equal, so that a lasting fault is reported once. A command that
    ends with an error exits with its ``exit_code``: 1 if the answer is no, 2 if there is no answer.

    Args:
        message: One sentence: the rule that was broken, then the way out.
    """

    code: ClassVar[str]
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.message == self.message

    def __hash__(self) -> int:
        return hash((self.code, self.message))


class ConfigError(JwksError):
    """A flag, an environment variable or its value is wrong."""

    code = "config-invalid"
    exit_code = 2


class ListenError(JwksError):
    """An address can't be listened on."""

    code = "listen-failed"


class ParserMissing(JwksError):
    """aiohttp runs without its parser in C; the parser in Python accepts far more invalid requests."""

    code = "parser-missing"


class TlsInvalid(JwksError):
    """The TLS certificate and its private key can't be used."""

    code = "tls-invalid"


class TlsExpired(TlsInvalid):
    """The TLS certificate has expired."""

    code = "tls-expired"


class TlsNotYetValid(TlsInvalid):
    """The TLS certificate is not valid yet."""

    code = "tls-not-yet-valid"


class TaskDied(JwksError):
    """A background task ended, so the set would no longer follow the directory."""

    code = "task-died"


class StateDamaged(JwksError):
    """The state file doesn't hold what this program writes there; it is set aside."""

    code = "state-damaged"
    exit_code = 2


class StateUnusable(JwksError):
    """The state file can't be read or written."""

    code = "state-unusable"
    exit_code = 2


class StateLocked(StateUnusable):
    """Another server writes the state file."""

    code = "state-locked"


class StateNewer(StateUnusable):
    """A newer version of this program wrote the state file."""

    code = "state-newer"


class EditionDamaged(JwksError):
    """Bytes that should be an edition are not what this program writes."""

    code = "edition-damaged"


class OutputUnusable(JwksError):
    """The folder that ``render`` writes to, or standard output, can't be written, or must not be used."""

    code = "output-unusable"
    exit_code = 2


class FetchFailed(JwksError):
    """A URL can't be reached, or answers with something else than a JWK Set."""

    code = "fetch-failed"
    exit_code = 2


class WaitTimeout(JwksError):
    """The time was over before every replica did what ``wait`` waits for."""

    code = "wait-timeout"


class TokenMalformed(JwksError):
    """The argument is not a signed JWT in compact form (RFC 7519 section 3, RFC 7515 section 3.1)."""

    code = "token-malformed"
    exit_code = 2


class TokenAlgUnsupported(JwksError):
    """The token's alg is one that this program can't verify."""

    code = "token-alg-unsupported"
    exit_code = 2


class TokenRefused(JwksError):
    """No published key verifies the token."""


class KidUnknown(TokenRefused):
    """No key has the token's kid."""

    code = "kid-unknown"


class KeyPending(TokenRefused):
    """The key is there, and will be published later."""

    code = "key-pending"


class KeyRetired(TokenRefused):
    """The key was published, and no longer is."""

    code = "key-retired"


class KeyRevoked(TokenRefused):
    """The key is revoked in ``jwks.toml``."""

    code = "key-revoked"


class KeyNotVisible(TokenRefused):
    """The key is published in the directory, but the URL doesn't serve it yet."""

    code = "key-not-visible"


class TokenAlgMismatch(TokenRefused):
    """The key with the token's kid is for another alg, or not for signatures."""

    code = "token-alg-mismatch"


class SignatureWrong(TokenRefused):
    """The key with the token's kid didn't make the token's signature."""

    code = "signature-wrong"


class SourceError(JwksError):
    """The key directory, or an issuer's folder in it, gives no set; the last good one stays in place."""


class DirectoryMissing(SourceError):
    """There is no directory at the path."""

    code = "directory-missing"
    exit_code = 2


class DirectoryUnreadable(SourceError):
    """The path is not a directory, or it can't be listed."""

    code = "directory-unreadable"
    exit_code = 2


class IssuerNameInvalid(SourceError):
    """A folder's name can't be a segment of a URL's path as it is (RFC 3986 section 2.3)."""

    code = "issuer-name-invalid"


class NoKeys(SourceError):
    """The directory was read and gives no key at all."""

    code = "no-keys"


class PolicyInvalid(SourceError):
    """``jwks.toml`` can't be read, or is invalid; the last good policy stays."""

    code = "policy-invalid"


class KeyFileError(JwksError):
    """One file is refused."""


class FileUnreadable(KeyFileError):
    """The file can't be opened or read."""

    code = "file-unreadable"
    exit_code = 2


class FileNotRegular(KeyFileError):
    """The name stands for a directory, a FIFO, a socket or a device."""

    code = "file-not-regular"
    exit_code = 2


class FileTooLarge(KeyFileError):
    """The file is over the size limit."""

    code = "file-too-large"


class PemMissing(KeyFileError):
    """The file holds no PEM block."""

    code = "pem-missing"


class PemMalformed(KeyFileError):
    """A block's BEGIN and END lines don't pair (RFC 7468)."""

    code = "pem-malformed"


class PemUnsupported(KeyFileError):
    """A block's label is not one of a key or a certificate."""

    code = "pem-unsupported"


class JwkMissing(KeyFileError):
    """The JSON holds no JWK for JWTs."""

    code = "jwk-missing"


class JwkMalformed(KeyFileError):
    """The file is not JSON, or not a JWK or a JWK Set (RFC 7517)."""

    code = "jwk-malformed"


class PassphraseMissing(KeyFileError):
    """The private key is encrypted and there is no passphrase to open it with."""

    code = "passphrase-missing"


class PassphraseWrong(KeyFileError):
    """The passphrase does not open the encrypted private key."""

    code = "passphrase-wrong"


class KeyMalformed(KeyFileError):
    """A block's contents are not what its label says."""

    code = "key-malformed"


class KeyInconsistent(KeyFileError):
    """Numbers can't be those of a key: p * q is not n, the exponent is even or 1, a point is not on its curve."""

    code = "key-inconsistent"


class KeyTooSmall(KeyFileError):
    """An RSA key is shorter than RFC 7518 section 3.3 requires."""

    code = "key-too-small"


class KeySymmetric(KeyFileError):
    """The JWK is a symmetric key, which is a secret."""

    code = "key-symmetric"


class KindUnsupported(KeyFileError):
    """Keys of this kind are never published."""

    code = "kind-unsupported"


class KindNotAllowed(KeyFileError):
    """Keys of this kind are published only with ``--allow``."""

    code = "kind-not-allowed"


class CertificateMismatch(KeyFileError):
    """A certificate belongs neither to a key of its file nor to a key's chain."""

    code = "certificate-mismatch"


class AlgMismatch(KeyFileError):
    """``jwks.toml`` gives a key an alg or a use that is not for keys of its kind."""

    code = "alg-mismatch"


class KidConflict(KeyFileError):
    """Another key already has this kid."""

    code = "kid-conflict"


class KidInvalid(KeyFileError):
    """The file's name can't serve as a kid."""

    code = "kid-invalid"


class Problem(JwksError):
    """A request that can't be fulfilled: an RFC 9457 problem document."""

    status: ClassVar[int]


class BadRequest(Problem):
    """The client sent something that is not an HTTP request (RFC 9112).

    Args:
        message: As in ``JwksError``.
        reason: The part that is wrong, as the metrics count it.
    """

    code = "bad-request"
    status = 400

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class NotFound(Problem):
    """Nothing is served at the path."""

    code = "not-found"
    status = 404


class MethodNotAllowed(Problem):
    """The method is not allowed at this path.

    Args:
        message: As in ``JwksError``.
        allow: The methods that are allowed (RFC 9110 section 10.2.1).
    """

    code = "method-not-allowed"
    status = 405

    def __init__(self, message: str, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class NotAcceptable(Problem):
    """Accept-Encoding rules out every coding there is (RFC 9110 section 12.5.3)."""

    code = "not-acceptable"
    status = 406


class RequestTimeout(Problem):
    """The head of a request did not come whole in time (RFC 9110 section 15.5.9)."""

    code = "request-timeout"
    status = 408


class PreconditionFailed(Problem):
    """If-Match names another version than the current one (RFC 9110 section 13.1.1)."""

    code = "precondition-failed"
    status = 412


class HeadTooLarge(Problem):
    """The head of a request has too many bytes or fields (RFC 6585 section 5)."""

    code = "head-too-large"
    status = 431


class VersionUnsupported(Problem):
    """The request is of another version of HTTP (RFC 9110 section 15.6.6)."""

    code = "version-unsupported"
    status = 505


class HostNotServed(Problem):
    """The admin listener doesn't answer under this host name (RFC 9110 section 15.5.20)."""

    code = "host-not-served"
    status = 421


class InternalError(Problem):
    """A fault of this program."""

    code = "internal-error"
    status = 500


class NoKeySet(Problem):
    """No key set has been loaded yet."""

    code = "no-key-set"
    status = 503


class StreamsBusy(Problem):
    """As many status pages as are allowed are kept up to date already, or the server stops."""

    code = "streams-busy"
    status = 503


class NotReady(Problem):
    """The server is not ready for traffic: no set is loaded yet, or the process is draining."""

    code = "not-ready"
    status = 503
