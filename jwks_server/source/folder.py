"""One issuer's folder -> what each of its key files holds. Private bytes never leave this module."""

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jwks_server.errors import FileUnreadable, KeyFileError, PolicyInvalid
from jwks_server.keys.evaluate import GONE_SECONDS
from jwks_server.keys.keyset import KeyFile, read_file
from jwks_server.keys.observation import Observation
from jwks_server.keys.table import FILE_NAME
from jwks_server.source.files import MAX_POLICY_BYTES, Fingerprint, contents
from jwks_server.source.volume import Open, descriptor
from jwks_server.text import reason

_VOLUME_DEPTH = 8
# The machine is at fault and not the file, so a key that is known stays.
_MACHINE_ERRNOS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.EINTR})


@dataclass(frozen=True, slots=True)
class _Read:
    """What is remembered of a file. Without a fingerprint it is read again; the same bytes are not parsed again."""

    file: KeyFile
    fingerprint: Fingerprint | None = None
    digest: bytes = b""


class Folder:
    """An issuer's folder. Remembers what it read, so that only changed bytes are parsed again.

    Args:
        is_key_file: Tells whether a name is one of a key file.
        path: Where the folder is.
    """

    def __init__(self, is_key_file: Callable[[str], bool], path: Path) -> None:
        self._is_key_file = is_key_file
        self._path = path
        self._resolved = ""
        self._known: Mapping[str, _Read] = {}
        self._identity: tuple[int, int] | None = None

    def forget(self) -> None:
        """Read every byte again in the next observation, whatever stat says."""
        self._known = {name: replace(read, fingerprint=None) for name, read in self._known.items()}

    def clear(self) -> None:
        """Parse every file again in the next observation, whatever its bytes are."""
        self._known = {}

    def read(self, here: Open, passphrase: bytes | None, *, whole: bool, nested: bool) -> Observation:
        """Read the folder as it is at one moment. An unchanged file gives the same object again.

        Args:
            here: The open folder.
            passphrase: What opens encrypted private keys.
            whole: Whether it is known to change as a whole.
            nested: Whether the folders below it are read too.
        """
        ignored: list[str] = []
        known = dict(self._read_files(here.data, "", _VOLUME_DEPTH if nested else 0, passphrase, ignored))
        identity = here.identity
        whole = whole or here.link is not None
        if identity != self._identity:
            whole = self._is_swapped(here) or whole
        self._known, self._identity = known, identity
        files = {name: known[name].file for name in sorted(known)}
        return Observation(files, _read_policy(here.data), whole, ignored=tuple(sorted(ignored)))

    def _read_files(
        self, folder: int, base: str, depth: int, passphrase: bytes | None, ignored: list[str]
    ) -> Iterator[tuple[str, _Read]]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if depth and entry.is_dir(follow_symlinks=False):
                    with descriptor(entry.name, folder) as below:
                        yield from self._read_files(below, f"{base}{entry.name}/", depth - 1, passphrase, ignored)
                elif self._is_key_file(entry.name):
                    name = base + entry.name
                    if read := self._observe(entry, folder, name, passphrase):
                        yield name, read
                elif entry.name != FILE_NAME and not _may_be_a_folder(entry):
                    ignored.append(base + entry.name)

    def _observe(self, entry: os.DirEntry[str], folder: int, name: str, passphrase: bytes | None) -> _Read | None:
        """Read a file unless it is known; return None if it is gone since it was listed."""
        known = self._known.get(name)
        error: KeyFileError
        try:
            status = entry.stat()
            if known and known.fingerprint == Fingerprint.of(status):
                return known
            return _read(name, contents(entry.name, folder, status), status, known, passphrase)
        except KeyFileError as refused:
            error = refused
        except FileNotFoundError:
            if not entry.is_symlink():
                return None
            error = FileUnreadable("The link leads nowhere; fix it, or remove it.")
        except OSError as exc:
            if known and exc.errno in _MACHINE_ERRNOS:
                return replace(known, fingerprint=None)
            error = FileUnreadable(f"The file can't be read: {reason(exc)}; fix it.")
        return _Read(KeyFile(name, error=error))


def _may_be_a_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether it is a folder, or a link that may lead to one; a link is not followed, since that may hang."""
    return entry.is_symlink() or entry.is_dir(follow_symlinks=False)


def _read(name: str, data: bytes, status: os.stat_result, known: _Read | None, passphrase: bytes | None) -> _Read:
    digest = hashlib.sha256(data).digest()
    file = known.file if known and known.digest == digest else read_file(name, data, passphrase)
    exposed = bool(status.st_mode & stat.S_IROTH)
    if file.world_readable != exposed:
        file = replace(file, world_readable=exposed)
    fingerprint = Fingerprint.of(status)
    return _Read(file, None if fingerprint.may_hide_a_change() else fingerprint, digest)


def _read_policy(folder: int) -> bytes | PolicyInvalid | None:
    try:
        return contents(FILE_NAME, folder, os.stat(FILE_NAME, dir_fd=folder), MAX_POLICY_BYTES)
    except FileNotFoundError:
        return _link_to_nothing(folder)
    except KeyFileError as error:
        return PolicyInvalid(f"{FILE_NAME}: {error.message}")
    except OSError as exc:
        return PolicyInvalid(f"{FILE_NAME} can't be read: {reason(exc)}; fix it.")


def _link_to_nothing(folder: int) -> PolicyInvalid | None:
    """A link that leads nowhere says nothing about what is revoked; only a missing name says that nothing is."""
    try:
        os.lstat(FILE_NAME, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as exc:
        return PolicyInvalid(f"{FILE_NAME} can't be read: {reason(exc)}; fix it.")
    return PolicyInvalid(f"{FILE_NAME} is a link that leads nowhere; fix it, or remove it.")
