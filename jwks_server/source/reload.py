"""Trigger -> read -> build -> publish. The only writer of the catalog."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import structlog

from jwks_server.catalog import Catalog, Entry
from jwks_server.errors import NoKeys, SourceError
from jwks_server.keys import keyset
from jwks_server.keys.keyset import Change, KeyFile, KeySet
from jwks_server.keys.policy import Policy
from jwks_server.source.directory import Directory
from jwks_server.source.triggers import Triggers

R = TypeVar("R")

_log = structlog.get_logger(__name__)
_LEVELS = {"key-published": "info", "key-withdrawn": "info", "file-duplicate": "info", "file-refused": "error"}


class Reloader(Generic[R]):
    """Keeps the catalog equal to what the directory says.

    Args:
        directory: Where the key files are.
        policy: What the operator decided.
        catalog: What is served; written here and nowhere else.
        render: Makes the finished replies of a set; called off the event loop.
    """

    def __init__(
        self, directory: Directory, policy: Policy, catalog: Catalog[R], render: Callable[[KeySet], R]
    ) -> None:
        self._directory = directory
        self._policy = policy
        self._catalog = catalog
        self._render = render
        self._files: tuple[KeyFile, ...] | None = None
        self._built: KeySet | None = None
        self._failure: SourceError | None = None

    async def run(self, triggers: Triggers) -> None:
        """Reload whenever a trigger arrives, one reload at a time, for ever."""
        while True:
            await triggers.get()
            await self.reload()

    async def reload(self) -> None:
        """Publish what the directory holds now. Where that fails, the last good set stays."""
        published = self._catalog.current
        try:
            entry = await asyncio.to_thread(self._load)
        except SourceError as error:
            if error != self._failure:
                _log.error("reload-failed", code=error.code, reason=error.message, serving=published is not None)
            self._failure = error
            return
        if self._failure:
            _log.info("reload-recovered", directory=str(self._directory.path))
            self._failure = None
        if entry:
            self._catalog.publish(entry)
            _report(keyset.key_changes(published.keyset if published else None, entry.keyset))

    def _load(self) -> Entry[R] | None:
        """Read and build; None where nothing is different. Runs in a thread."""
        files = self._directory.read()
        if files == self._files and not self._failure:
            return None
        built = keyset.build(files, self._policy)
        _report(keyset.file_changes(self._built, built))
        self._files, self._built = files, built
        if not built.keys and not self._policy.allow_empty:
            raise NoKeys(
                f"No file in {self._directory.path} gives a key, and a set without any would lock every user out; "
                "put a key there, or start with --allow-empty."
            )
        return Entry(built, self._render(built))


def _report(changes: Iterable[Change]) -> None:
    for change in changes:
        getattr(_log, _LEVELS[change.event])(change.event, **change.fields)
