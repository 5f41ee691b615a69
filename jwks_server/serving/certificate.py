"""The server's certificate, which is reloaded when its files change."""

import asyncio
import os
import ssl
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from jwks_server.errors import TlsInvalid
from jwks_server.keys.validity import Validity, validity
from jwks_server.serving.tls_context import Pair, load, new_context, read
from jwks_server.threads import in_thread

_POLL_SECONDS = 1.0
_READ_SECONDS = 30.0
# The context has the keys of session tickets: an old one could decrypt what was recorded long ago.
_CONTEXT_SECONDS = 86400.0

_log = structlog.get_logger(__name__)


class Certificate:
    """A certificate chain and its private key.

    Args:
        chain: The chain's PEM file, leaf first.
        key: The private key's PEM file, not encrypted.
        clock: Seconds since the epoch, for tests.

    Attributes:
        context: For the next handshakes; open connections keep the certificate that they were shown.
        validity: When the certificate that is shown is valid; None where that can't be read.
        loaded: When it was loaded, in seconds since the epoch.
        refused: Why the files are not what is shown; None if they are.

    Raises:
        TlsInvalid: The files can't be used. A certificate that clients refuse for its period only costs a log line
            here: there is none to show instead.
    """

    def __init__(self, chain: str, key: str, clock: Callable[[], float] = time.time) -> None:
        self._files = chain, key
        self._clock = clock
        self._seen = self._fingerprint()
        self._asked = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._pair = read(self._files)
        self.context = new_context(self._pair)
        self.validity: Validity | None = validity(self._pair.chain)
        self.loaded = clock()
        self.refused: TlsInvalid | None = None
        self._logged: tuple[TlsInvalid, ...] = ()
        self._made = time.monotonic()
        self._log_faults()

    @property
    def file(self) -> str:
        """The chain's file."""
        return self._files[0]

    @property
    def faults(self) -> tuple[TlsInvalid, ...]:
        """What is wrong now: with the files if they are refused, and with the certificate that is shown."""
        shown = self.validity.fault("use", self._clock()) if self.validity else None
        return tuple(one for one in (self.refused, shown) if one)

    async def follow(self) -> None:
        """Reload the files when they change; this never returns. A bad pair leaves the last good one in place."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), _POLL_SECONDS)
            self._asked.clear()
            waiting, self._waiting = self._waiting, []
            try:
                # A file system that hangs leaves a thread behind; it must not stop later reloads.
                await asyncio.wait_for(self._reload_if_changed(), _READ_SECONDS)
            except TimeoutError:
                self.refused = TlsInvalid(
                    f"{self._files[0]} or {self._files[1]} can't be read in time; check the disk."
                )
            except TlsInvalid as error:
                self.refused = error
            self._log_faults()
            for one in waiting:
                if not one.done():
                    one.set_result(None)
            if time.monotonic() - self._made >= _CONTEXT_SECONDS:
                self._renew(await in_thread(lambda: new_context(self._pair)))

    async def reload(self) -> None:
        """Check the files now; return when they have been read, or can't be."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._asked.set()
        await done

    async def _reload_if_changed(self) -> None:
        seen = await in_thread(self._fingerprint)
        if seen == self._seen and not self.refused:
            return
        pair, context, period = await in_thread(self._load)
        self._show(pair, context)
        self.validity, self.loaded = period, self._clock()
        self.refused, self._seen = None, seen
        _log.info("tls-reloaded", certificate=self.file)

    def _load(self) -> tuple[Pair, ssl.SSLContext, Validity | None]:
        """Read the files, and refuse a certificate outside of its period while the one that is shown is good.

        Raises:
            TlsInvalid: The files can't be used.
        """
        pair = read(self._files)
        context, period = new_context(pair), validity(pair.chain)
        now = self._clock()
        fault = period.fault(self.file, now) if period else None
        if fault and not (self.validity and self.validity.fault(self.file, now)):
            raise fault
        return pair, context, period

    def _show(self, pair: Pair, context: ssl.SSLContext) -> None:
        """Show a chain that a new context has accepted, in the live one: so its session tickets stay valid.

        A context keeps one chain for each kind of key, so a chain of another kind needs the new context.
        """
        same_kind = pair.kind is not None and pair.kind == self._pair.kind
        self._pair = pair
        if not same_kind:
            self._renew(context)
            return
        try:
            load(self.context, pair)
        except TlsInvalid:
            self._renew(context)

    def _renew(self, context: ssl.SSLContext) -> None:
        self.context, self._made = context, time.monotonic()

    def _log_faults(self) -> None:
        """Log a fault once when it appears, and once when it is over."""
        faults, before = self.faults, self._logged
        for fault in faults:
            if fault not in before:
                _log.error("tls-failed", code=fault.code, reason=fault.message)
        for code in {one.code for one in before} - {one.code for one in faults}:
            _log.info("tls-recovered", code=code, certificate=self.file)
        self._logged = faults

    def _fingerprint(self) -> tuple[object, ...]:
        try:
            status = [os.stat(path) for path in self._files]  # noqa: PTH116 - the serving side does not import pathlib
        except OSError:
            return ()
        return tuple((one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for one in status)
