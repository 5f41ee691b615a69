"""One file: what stat says about it, and its bytes, up to a limit."""

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from jwks_server.errors import (
    FileNotRegular,
    FileTooLarge,
    FileUnreadable,
    JwkMissing,
    KeyFileError,
    PolicyInvalid,
)
from jwks_server.keys.jwk_file import ANY_JSON, may_hold_keys
from jwks_server.keys.keyset import KeyFile, read_file
from jwks_server.keys.observation import Observation
from jwks_server.keys.table import FILE_NAME
from jwks_server.text import reason

MAX_FILE_BYTES = 64 * 1024
MAX_POLICY_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What changes when a file does, as far as stat can tell."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Fingerprint":
        """Take a file's fingerprint."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def is_of(self, status: os.stat_result) -> bool:
        """Report whether it is a file's; quicker than to take that file's, which counts with 10,000 files."""
        return (
            self.ctime_ns == status.st_ctime_ns
            and self.inode == status.st_ino
            and self.size == status.st_size
            and self.mtime_ns == status.st_mtime_ns
            and self.device == status.st_dev
        )

    def may_hide_a_change(self) -> bool:
        """Report whether a later write could leave the times as they are.

        A filesystem's clock ticks every few milliseconds, in some every two seconds; two changes within one
        tick look like one.
        """
        tick_ns = 50_000_000 if self.ctime_ns % 1_000_000_000 else 2_000_000_000
        return time.time_ns() - self.ctime_ns < tick_ns


def contents(name: str, folder: int, status: os.stat_result, limit: int = MAX_FILE_BYTES) -> bytes:
    """Read a regular file; opening anything else could block, or have an effect.

    Args:
        name: The file's name.
        folder: The open directory that it is in.
        status: What stat said about it.
        limit: How many bytes it may have.

    Raises:
        FileNotRegular: It is a directory, a FIFO, a socket or a device.
        FileTooLarge: It has more bytes.
        JwkMissing: It has more bytes, and is JSON that is no JWK Set.
        OSError: It can't be opened or read.
    """
    if not stat.S_ISREG(status.st_mode):
        raise FileNotRegular("This is not a regular file; keep only key files under such a name.")
    if status.st_size > limit and not name.endswith(ANY_JSON):
        raise _too_large(limit)
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        data = file.read(limit + 1) or b""
    if len(data) <= limit:
        return data
    if name.endswith(ANY_JSON) and not may_hold_keys(data):
        raise JwkMissing("The JSON has more bytes than a key file may have, and begins with no JWK; write one.")
    raise _too_large(limit)


def _too_large(limit: int) -> FileTooLarge:
    return FileTooLarge(f"The file has more than {limit} bytes; split it.")


def single(path: Path, limit: int = MAX_FILE_BYTES) -> bytes | None:
    """Read a file that was named on the command line, as a key directory's file is read.

    Args:
        path: The file.
        limit: How many bytes it may have.

    Returns:
        The file's bytes; None if there is no such file.

    Raises:
        FileUnreadable: The file can't be opened or read.
        FileNotRegular: As for ``contents``.
        FileTooLarge: As for ``contents``.
        JwkMissing: As for ``contents``.
    """
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return contents(path.name, folder, path.stat(), limit)
        finally:
            os.close(folder)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise FileUnreadable(f"The file can't be read: {reason(exc)}; fix it.") from exc


def key_file(path: Path, passphrase: bytes | None) -> KeyFile:
    """Read one key file that was named on the command line.

    Args:
        path: The file.
        passphrase: What opens encrypted private keys.

    Raises:
        KeyFileError: The file gives no key.
    """
    if os.path.isdir(path):  # noqa: PTH112 - False, not an error, for a name that is too long
        raise FileNotRegular("This is a directory; name a key file in it, or run check for the directory.")
    data = single(path)
    if data is None:
        raise FileUnreadable("There is no such file; check its name.")
    file = read_file(path.name, data, passphrase)
    if file.error:
        raise file.error
    return file


def observe_file(path: Path, passphrase: bytes | None) -> Observation:
    """Observe a key file as if it were alone in its directory, with the ``jwks.toml`` there.

    Raises:
        KeyFileError: The file gives no key.
        PolicyInvalid: The ``jwks.toml`` beside it can't be read.
    """
    file = key_file(path, passphrase)
    try:
        policy = single(path.with_name(FILE_NAME), MAX_POLICY_BYTES)
    except KeyFileError as error:
        raise PolicyInvalid(f"{FILE_NAME}: {error.message}") from error
    return Observation({file.name: file}, policy, whole=True)
