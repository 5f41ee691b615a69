"""What the page shows now, and when it is new."""

import time

from status_pages import program, some_facts

from jwks_server.errors import PolicyInvalid
from jwks_server.serving.page.outline import PAGE_ISSUERS, Query
from jwks_server.serving.page.view import View
from jwks_server.serving.status import Reported


def known(reported: Reported, *paths: str, now: float = 0.0) -> None:
    """Let a program know issuers."""
    facts = dict.fromkeys(paths, some_facts("a.pem", now=now))
    reported.reloads.issuers = {path: one.evaluation for path, one in facts.items() if one.evaluation}
    reported.catalog.publish({path: one.entry for path, one in facts.items()})


async def marks(view: View, now: float) -> dict[str, object]:
    """Read what each section shows."""
    return {one.name: one.mark for one in await view.sections(Query(), now)}


async def test_nothing_new() -> None:
    """Nothing is new when nothing changed, nor when an issuer was evaluated again with the same result."""
    reported = program()
    view = View(reported)
    known(reported, "/a", "/b")
    reported.reloads.faults = {"/c": (PolicyInvalid("Bad."),)}
    before = await marks(view, 10.0)
    assert await marks(view, 20.0) == before
    known(reported, "/a", "/b")
    reported.reloads.faults = {"/c": (PolicyInvalid("Bad."),)}
    assert await marks(view, 30.0) == before


async def test_what_is_new() -> None:
    """Each section is new when what it shows is another thing, or when a moment has passed."""
    reported = program()
    view = View(reported)
    known(reported, "/a")
    before = await marks(view, 10.0)

    async def news(now: float = 10.0) -> set[str]:
        nonlocal before
        last, before = before, await marks(view, now)
        return {name for name in before if before[name] != last[name]}

    known(reported, "/a", now=5.0)
    assert await news() == {"state", "attention", "issuers"}
    reported.reloads.faults = {"/a": (PolicyInvalid("Bad."),)}
    assert await news() == {"state", "attention", "issuers"}
    reported.connections.traffic.answers[200, "cache"] += 1
    assert await news() == {"traffic"}
    reported.reloads.last = 1.0, "event", "published"
    assert await news() == {"state"}
    reported.reloads.too_early = {"/a": 500.0}
    assert await news() == {"attention"}
    assert await news(400.0) == {"traffic"}
    assert await news(5.0 + 300 + 900) == {"state", "issuers", "attention", "traffic"}


async def test_page_has_all_sections() -> None:
    """The page as it is first loaded has everything, so that it needs no script."""
    reported = program()
    known(reported, "/a")
    html = (await View(reported).page(Query(), 10.0)).data.decode()
    for name in ("state", "attention", "traffic", "issuers"):
        assert html.count(f' id="{name}"') == 1
    assert "<code>/a</code>" in html


async def test_many_issuers_cost_one_page() -> None:
    """With a thousand issuers a page has twenty of them, and each pause is after a few rows."""
    reported = program()
    known(reported, *(f"/issuer{number:04}" for number in range(1000)))
    view = View(reported)
    await view.page(Query(), 10.0)
    section = (await view.sections(Query(), 10.0))[-1]
    steps, pauses, longest = section.write(), 0, 0.0
    html = ""
    while not html:
        began = time.perf_counter()
        try:
            next(steps)
        except StopIteration as end:
            html = end.value
        pauses += 1
        longest = max(longest, time.perf_counter() - began)
    print(f"{pauses} pauses, the longest step {1000 * longest:.2f} ms")  # noqa: T201 - a figure for people
    assert html.count("<article") == PAGE_ISSUERS
    assert pauses > 1000
    assert len(html) < 200_000
