"""What the page shows now: its sections, each with a mark that changes when it does."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jwks_server.serving.compressed import Part
from jwks_server.serving.page import sections
from jwks_server.serving.page.document import document, issuers
from jwks_server.serving.page.html import Html
from jwks_server.serving.page.outline import Query, Survey, outline, shown, survey
from jwks_server.serving.page.rates import Meter
from jwks_server.serving.slices import PerIssuer, Steps, in_slices
from jwks_server.serving.status import Reported


class Section(NamedTuple):
    """A section of the page.

    Attributes:
        name: Its id.
        mark: What it shows, apart from the time: if this is equal, there is nothing new.
        write: Writes it.
    """

    name: str
    mark: object
    write: Callable[[], Steps[Html]]


class View:
    """The page of a program.

    Args:
        reported: What it shows.
    """

    def __init__(self, reported: Reported) -> None:
        self._reported = reported
        self._outlines = PerIssuer(outline)
        self._survey = Survey()
        self._surveyed: Sequence[Any] = ()
        self._meter = Meter(reported.connections.traffic, reported.started)

    async def page(self, asked: Query, now: float) -> Part:
        """Write the whole page."""
        written = [await in_slices(one.write()) for one in await self.sections(asked, now)]
        return Part(document(written, asked, self._reported.started, now).encode())

    async def sections(self, asked: Query, now: float) -> Sequence[Section]:
        """List the sections as they are now; what has not changed since the last time costs little."""
        reported, found = self._reported, await self._look()
        reported.connections.count()
        rates, open_now = self._meter.look(now), len(reported.connections)
        reloads, passed = reported.reloads, found.passed(now)
        early = {path: until for path, until in reloads.too_early.items() if until > now}
        state = (found, passed, reported.unready(), reloads.last, reloads.last_scan, reloads.pace, reloads.watch)
        certificate = reported.certificate
        of_tls = certificate and (certificate.loaded, [(one.code, one.message) for one in certificate.faults])
        return (
            Section("state", (*state, of_tls), lambda: _at_once(sections.state(reported, found, now))),
            Section("attention", (found, early), lambda: _at_once(sections.attention(found, early, now))),
            Section("traffic", (rates.lines, open_now), lambda: _at_once(sections.traffic(rates, open_now, now))),
            Section("issuers", (found, passed), lambda: _issuers(found, asked, now)),
        )

    async def _look(self) -> Survey:
        """Survey all issuers, if anything is not as it was."""
        reloads = self._reported.reloads
        marks = (self._reported.catalog.current, reloads.issuers, reloads.faults, reloads.last)
        if len(marks) != len(self._surveyed) or any(
            one is not other for one, other in zip(marks, self._surveyed, strict=True)
        ):
            facts = self._reported.facts()
            outlines = await in_slices(self._outlines.steps(facts))
            if outlines != self._survey.outlines:  # by what is shown: a failing issuer is evaluated again and again
                self._survey = await in_slices(survey(facts, outlines))
            self._surveyed = marks
        return self._survey


def _issuers(found: Survey, asked: Query, now: float) -> Steps[Html]:
    listed = yield from shown(found, asked)
    return (yield from issuers(found, asked, listed, now))


def _at_once(written: Html) -> Steps[Html]:
    yield
    return written
