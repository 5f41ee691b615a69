"""One issuer's folder -> what each of its key files holds. Private bytes never leave this module."""

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter

from jwks_server.errors import FileUnreadable, KeyFileError, PolicyInvalid
from jwks_server.keys.keyset import KeyFile, read_file
from jwks_server.keys.observation import Observation
from jwks_server.keys.table import FILE_NAME
from jwks_server.source.files import MAX_POLICY_BYTES, Fingerprint, contents
from jwks_server.source.patience import NoAnswer, Patience
from jwks_server.source.volume import Arrival, Open, arrived, descriptor
from jwks_server.text import reason

_VOLUME_DEPTH = 8
_LOOKS = 3
# Who writes a folder pauses for a shorter time than this; what is older has settled.
QUIET_NS = 100_000_000
_file = attrgetter("file")
# The machine is at fault and not the file, so a key that is known stays.
_MACHINE_ERRNOS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.EINTR})


@dataclass(frozen=True, slots=True)
class _Read:
    """What is remembered of a file. Without a fingerprint it is read again; the same bytes are not parsed again.

    Attributes:
        file: What it holds.
        fingerprint: What stat said of the bytes, if a change would show in it.
        digest: Of the bytes.
        seen: What stat said of the file, if anything.
    """

    file: KeyFile
    fingerprint: Fingerprint | None = None
    digest: bytes = b""
    seen: Fingerprint | None = None


class Folder:
    """An issuer's folder. Remembers what it read, so that only changed bytes are parsed again.

    Args:
        is_key_file: Reports whether a name is one of a key file.
        place: The folder's path, for messages.
        patience: Asks the filesystem.
    """

    def __init__(self, is_key_file: Callable[[str], bool], place: str, patience: Patience) -> None:
        self._is_key_file = is_key_file
        self._place = place
        self._patience = patience
        self._known: Mapping[str, _Read] = {}
        self._ignored: tuple[str, ...] = ()
        self._read_whole = False
        self._arrival = Arrival()

    def forget(self) -> None:
        """Read every byte again in the next observation, whatever stat says."""
        self._known = {name: replace(read, fingerprint=None) for name, read in self._known.items()}
        self._read_whole = False

    def clear(self) -> None:
        """Parse every file again in the next observation, whatever its bytes are."""
        self._known = {}
        self._read_whole = False

    def read(  # noqa: PLR0913 - where it is, and what is known of it
        self,
        here: Open,
        passphrase: bytes | None,
        *,
        whole: bool,
        nested: bool,
        way: Callable[[], str | None],
        only: Collection[str] | None = None,
    ) -> Observation:
        """Read the folder as it is at one moment. An unchanged file gives the same object again.

        What was read is looked at again, and read again if it moved meanwhile.

        Args:
            here: The open folder.
            passphrase: What opens encrypted private keys.
            whole: Whether it is known to change as a whole.
            nested: Whether the folders below it are read too.
            way: Returns where the links on the way to it lead.
            only: The names of the files to look at, beside ``jwks.toml``; the others are as they were. All of them are
                looked at in any case if this is another folder, or one that changes as a whole.
        """
        depth = _VOLUME_DEPTH if nested else 0
        before = self._known
        arrival = arrived(here.top, self._arrival, way)
        whole = whole or here.link is not None or arrival.whole
        if whole or nested or not self._read_whole or arrival.identity != self._arrival.identity:
            only = None
        for _ in range(_LOOKS):
            self._known = self._read_files(here.data, depth, passphrase, only)
            policy, policy_print = self._read_policy(here.data)
            names = self._known if only is None else list(filter(self._is_key_file, only))
            read = {name: one.seen if (one := self._known.get(name)) else None for name in names}
            recent = is_recent(here.data, [*read.values(), policy_print])
            # Most looks find nothing new; they need no second one.
            moved = (recent or self._known != before) and (read, policy_print) != self._look(here.data, depth, only)
            if not moved:
                break
        self._arrival, self._read_whole = arrival, True
        unsettled = not whole and (moved or recent)
        files = dict(zip(self._known, map(_file, self._known.values()), strict=True))
        return Observation(files, policy, whole, unsettled=unsettled, ignored=self._ignored)

    def _look(
        self, data: int, depth: int, only: Collection[str] | None
    ) -> tuple[dict[str, Fingerprint | None], Fingerprint | None]:
        """List the files with their fingerprints, without opening any."""
        if only is not None:
            found = {name: self._fingerprint(name, name, data) for name in only if self._is_key_file(name)}
        else:
            found = {
                base + name: self._fingerprint(base + name, name, folder)
                for name, folder, base in self._walk(data, "", depth, [])
            }
        return found, self._fingerprint(FILE_NAME, FILE_NAME, data)

    def _fingerprint(self, path: str, name: str, folder: int) -> Fingerprint | None:
        """Take the fingerprint of a file; None if stat says nothing about it."""
        try:
            return self._patience.ask(f"{self._place}/{path}", lambda: Fingerprint.of(os.stat(name, dir_fd=folder)))
        except OSError:
            return None

    def _read_files(
        self, data: int, depth: int, passphrase: bytes | None, only: Collection[str] | None
    ) -> Mapping[str, _Read]:
        """Read the files, or some of them; return what is known of all, ordered by name."""
        if only is None:
            ignored: list[str] = []
            walk = self._walk(data, "", depth, ignored)
            found = {base + name: self._observe(name, folder, base + name, passphrase) for name, folder, base in walk}
            self._ignored = tuple(sorted(ignored))
            return {name: read for name in sorted(found) if (read := found[name])}
        known = dict(self._known)
        for name in filter(self._is_key_file, only):
            read = self._observe(name, data, name, passphrase)
            if read is None:
                known.pop(name, None)
            else:
                known[name] = read
        if known.keys() <= self._known.keys():
            return known
        return {name: known[name] for name in sorted(known)}

    def _walk(self, folder: int, base: str, depth: int, ignored: list[str]) -> Iterator[tuple[str, int, str]]:
        """List the key files, each with the open folder that it is in and the path of that; note the other files."""
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if depth and entry.is_dir(follow_symlinks=False):
                    with descriptor(entry.name, folder) as below:
                        yield from self._walk(below, f"{base}{entry.name}/", depth - 1, ignored)
                elif self._is_key_file(entry.name):
                    yield entry.name, folder, base
                elif entry.name != FILE_NAME and not _may_be_a_folder(entry):
                    ignored.append(base + entry.name)

    def _observe(self, name: str, folder: int, path: str, passphrase: bytes | None) -> _Read | None:
        """Read a file unless it is known; return None if it is gone."""
        known = self._known.get(path)
        error: KeyFileError
        seen = None
        place = f"{self._place}/{path}"
        try:
            status = self._patience.ask(place, lambda: os.stat(name, dir_fd=folder))
            if known and known.fingerprint and known.fingerprint.is_of(status):
                return known
            seen = Fingerprint.of(status)
            data = self._patience.ask(place, lambda: contents(name, folder, status))
            return _read(path, data, status, known, passphrase)
        except KeyFileError as refused:
            error = refused
        except FileNotFoundError:
            if not _is_there(name, folder):
                return None
            error = FileUnreadable("The link leads nowhere; fix it, or remove it.")
        except OSError as exc:
            if known and (exc.errno in _MACHINE_ERRNOS or isinstance(exc, NoAnswer)):
                return replace(known, fingerprint=None, seen=seen)
            error = FileUnreadable(f"The file can't be read: {reason(exc)}; fix it.")
        return _Read(KeyFile(path, error=error), seen=seen)

    def _read_policy(self, folder: int) -> tuple[bytes | PolicyInvalid | None, Fingerprint | None]:
        seen = None
        place = f"{self._place}/{FILE_NAME}"
        try:
            status = self._patience.ask(place, lambda: os.stat(FILE_NAME, dir_fd=folder))
            seen = Fingerprint.of(status)
            return self._patience.ask(place, lambda: contents(FILE_NAME, folder, status, MAX_POLICY_BYTES)), seen
        except FileNotFoundError:
            return _link_to_nothing(folder), None
        except KeyFileError as error:
            return PolicyInvalid(f"{FILE_NAME}: {error.message}"), seen
        except OSError as exc:
            return PolicyInvalid(f"{FILE_NAME} can't be read: {reason(exc)}; fix it."), seen


def _read(name: str, data: bytes, status: os.stat_result, known: _Read | None, passphrase: bytes | None) -> _Read:
    digest = hashlib.sha256(data).digest()
    file = known.file if known and known.digest == digest else read_file(name, data, passphrase)
    exposed = bool(status.st_mode & stat.S_IROTH)
    if file.world_readable != exposed:
        file = replace(file, world_readable=exposed)
    fingerprint = Fingerprint.of(status)
    return _Read(file, None if fingerprint.may_hide_a_change() else fingerprint, digest, fingerprint)


def is_recent(folder: int, files: Iterable[Fingerprint | None] = ()) -> bool:
    """Report whether the folder or a file in it changed within the last moments."""
    newest = max([os.fstat(folder).st_ctime_ns, *(one.ctime_ns for one in files if one)])
    return abs(time.time_ns() - newest) < QUIET_NS


def _is_there(name: str, folder: int) -> bool:
    """Report whether there is something of that name, such as a link that leads nowhere."""
    try:
        os.lstat(name, dir_fd=folder)
    except OSError:
        return False
    return True


def _may_be_a_folder(entry: os.DirEntry[str]) -> bool:
    """Report whether it is a folder, or a link that may lead to one; a link is not followed, since that may hang."""
    return entry.is_symlink() or entry.is_dir(follow_symlinks=False)


def _link_to_nothing(folder: int) -> PolicyInvalid | None:
    """Distinguish a missing policy file from a link to nothing, which says nothing about what is revoked."""
    try:
        os.lstat(FILE_NAME, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as exc:
        return PolicyInvalid(f"{FILE_NAME} can't be read: {reason(exc)}; fix it.")
    return PolicyInvalid(f"{FILE_NAME} is a link that leads nowhere; fix it, or remove it.")
