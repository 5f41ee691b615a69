"""The key directory -> what each issuer's folder holds: the directory itself, and the folders in it."""

import fnmatch
import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from jwks_server.errors import DirectoryMissing, DirectoryUnreadable, IssuerNameInvalid, SourceError
from jwks_server.keys.observation import Observation
from jwks_server.keys.table import FILE_NAME
from jwks_server.published.catalog import ROOT
from jwks_server.source.folder import Folder, is_recent
from jwks_server.source.passphrase import read_passphrase
from jwks_server.source.patience import Patience
from jwks_server.source.triggers import Files
from jwks_server.source.volume import DATA_LINK, Arrival, Open, arrived, folders, steadily
from jwks_server.source.way import real
from jwks_server.text import reason

T = TypeVar("T")
# What was seen of an issuer's folder, or what is wrong with it.
Seen = Observation | SourceError

# RFC 3986 section 2.3; a leading dot hides a folder.
_ISSUER_NAME = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")


_NONE_NAMED: Files = MappingProxyType({})


class Directory:
    """The key directory at a path, with a folder for each issuer beside the one whose keys are in it directly.

    A folder inside such a folder is not an issuer. In a Kubernetes volume, where the paths of ``items`` can make one,
    its key files belong to the issuer's folder that it is in; elsewhere it is not read.

    Args:
        path: The directory; it may be missing, and come and go.
        patterns: Shell patterns for the names of key files. Names that start with a dot never match.
        passphrase: What opens encrypted private keys, to begin with.
        passphrase_file: The file that holds it; a regular file is read again in each observation.
    """

    def __init__(
        self,
        path: Path,
        patterns: Iterable[str],
        *,
        passphrase: bytes | None = None,
        passphrase_file: Path | None = None,
    ) -> None:
        self.path = path
        self._patterns = tuple(patterns)
        self._passphrase_file = passphrase_file
        self._passphrase = passphrase
        self._patience = Patience()
        self._root = Folder(self.is_key_file, str(path), self._patience)
        self._folders: dict[str, Folder] = {}
        self._version: object = None
        self._arrival = Arrival()

    @property
    def cost(self) -> float:
        """The CPU time that the last observation took in a thread of its own, in seconds."""
        return self._patience.cost

    def folder(self, issuer: str) -> Path:
        """Return the folder that holds an issuer's keys."""
        return self.path / issuer.removeprefix(ROOT)

    def forget(self) -> None:
        """Read every byte again in the next observation, whatever stat says."""
        for folder in (self._root, *self._folders.values()):
            folder.forget()

    def read(self, files: Files = _NONE_NAMED, *, everything: bool = True) -> Mapping[str, Seen]:
        """Read the directory as it is at one moment.

        Args:
            files: What to look at: the issuers by their path, each with the names of files in its folder; its other
                files are as they were. With all files of the directory itself, also new folders.
            everything: Whether to observe all files of all issuers. It happens anyway if the directory itself was
                swapped.

        Returns:
            What was seen, or what is wrong, by the issuer's path. A folder without key files and ``jwks.toml``
            gives an empty observation; a folder that is gone gives one that says so.

        Raises:
            DirectoryMissing: There is nothing at the path.
            DirectoryUnreadable: The path is not a directory, it can't be read, or it was swapped during each read.
        """
        return self._patience.run(lambda: self._seen(files, everything=everything))

    def _seen(self, files: Files, *, everything: bool) -> Mapping[str, Seen]:
        self._refresh_passphrase()
        try:
            read = self._patience.ask(
                str(self.path),
                lambda: steadily(lambda here: self._read(here, files, everything=everything), self.path),
            )
        except FileNotFoundError as exc:
            raise DirectoryMissing(f"There is no directory {self.path}; create it, or mount it.") from exc
        except OSError as exc:
            raise DirectoryUnreadable(f"The directory {self.path} can't be read: {reason(exc)}; fix it.") from exc
        if read is None:
            raise DirectoryUnreadable(
                f"The directory {self.path} was swapped during each read; write to it less often."
            )
        self._version, found = read
        return found

    def is_key_file(self, name: str) -> bool:
        """Report whether a name is the name of a key file."""
        return not name.startswith(".") and any(fnmatch.fnmatchcase(name, pattern) for pattern in self._patterns)

    def wants(self, name: str) -> bool:
        """Report whether a name in a folder can be about a key, the policy or the whole volume."""
        return name in {DATA_LINK, FILE_NAME} or self.is_key_file(name)

    def _refresh_passphrase(self) -> None:
        if self._passphrase_file is None:
            return
        try:
            passphrase = self._patience.ask(str(self._passphrase_file), partial(_passphrase, self._passphrase_file))
        except OSError:
            return
        if passphrase and passphrase != self._passphrase:
            self._passphrase = passphrase
            for folder in (self._root, *self._folders.values()):
                folder.clear()

    def _read(self, here: Open, files: Files, *, everything: bool) -> tuple[object, Mapping[str, Seen]]:
        version = (here.identity, here.link)
        self._arrival = arrived(here.top, self._arrival, partial(real, self.path))
        names = {issuer.removeprefix(ROOT) for issuer in files if issuer != ROOT}
        look_at_root = ROOT in files
        if everything or version != self._version:
            names |= self._folders.keys()
            look_at_root, files = True, _NONE_NAMED
        found: dict[str, Seen] = {}
        if look_at_root:
            if files.get(ROOT) is None:
                names |= self._listed(here) - self._folders.keys()
            found[ROOT] = self._root.read(
                here,
                self._passphrase,
                whole=self._arrival.whole,
                nested=False,
                way=lambda: None,
                only=files.get(ROOT),
            )
        for name in sorted(names):
            found[ROOT + name] = self._observe(name, here, files.get(ROOT + name))
        return version, found

    def _listed(self, here: Open) -> set[str]:
        """List the folders: those in a volume's data, and those mounted or made beside its links."""
        names = folders(here.data, links=here.link is None, ask=self._ask)
        if here.link is not None:
            names |= folders(here.top, links=False)
        return {name for name in names if not self.is_key_file(name)}

    def _ask(self, name: str, question: Callable[[], T]) -> T:
        return self._patience.ask(str(self.path / name), question)

    def _observe(self, name: str, here: Open, only: Collection[str] | None) -> Seen:
        """Read a folder; a folder that can't be an issuer counts as not there."""
        path = self.path / name
        within = here.link is not None and not _is_folder(name, here.top)
        parent = here.data if within else here.top
        folder = self._folders.get(name) or Folder(self.is_key_file, str(path), self._patience)

        def read(inside: Open) -> Observation:
            nested = within or inside.link is not None
            whole = within or self._arrival.whole
            way = partial(_link, name, parent)
            return folder.read(inside, self._passphrase, whole=whole, nested=nested, way=way, only=only)

        seen: Seen
        try:
            seen = self._ask(name, lambda: steadily(read, name, parent)) or DirectoryUnreadable(
                f"The folder {path} was swapped during each read; write to it less often."
            )
        except OSError as exc:
            if isinstance(exc, FileNotFoundError | NotADirectoryError) and not (
                name in self._folders and _is_link(name, parent)
            ):
                self._folders.pop(name, None)
                return Observation.nothing(
                    whole=within or self._arrival.whole, unsettled=not within and is_recent(parent)
                )
            seen = DirectoryUnreadable(f"The folder {path} can't be read: {reason(exc)}; fix it, or remove it.")
        self._folders[name] = folder
        if _ISSUER_NAME.fullmatch(name):
            return seen
        if isinstance(seen, SourceError) or seen.empty:
            return Observation.nothing(whole=within)
        return IssuerNameInvalid(
            f"The name of the folder {path} can't stand in a URL, so its keys are not served; "
            "rename it with letters, digits and . _ ~ - only."
        )


def _passphrase(file: Path) -> bytes | None:
    return read_passphrase(file) if file.is_file() else None


def _link(name: str, parent: int) -> str | None:
    """Return where a link leads; None if it is not a link."""
    try:
        return os.readlink(name, dir_fd=parent)
    except OSError:
        return None


def _is_folder(name: str, parent: int) -> bool:
    return stat.S_ISDIR(_mode(name, parent))


def _is_link(name: str, parent: int) -> bool:
    return stat.S_ISLNK(_mode(name, parent))


def _mode(name: str, parent: int) -> int:
    try:
        return os.lstat(name, dir_fd=parent).st_mode
    except OSError:
        return 0
