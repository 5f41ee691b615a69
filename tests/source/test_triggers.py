"""The mailbox of reasons to reload."""

import asyncio

from jwks_server.source.triggers import EVERYWHERE, Hint, Trigger, Triggers, named


async def test_triggers_coalesce() -> None:
    """However many arrive before they are taken, they are taken together, once."""
    triggers = Triggers()
    for _ in range(3):
        triggers.put(Trigger.EVENT)
    triggers.put(Trigger.EVENT, "/acme")
    triggers.put(Trigger.EVENT, "/acme", "a.pem")
    triggers.put(Trigger.SIGHUP)
    assert await triggers.get() == {
        Hint(Trigger.EVENT, EVERYWHERE),
        Hint(Trigger.EVENT, "/acme"),
        Hint(Trigger.EVENT, "/acme", "a.pem"),
        Hint(Trigger.SIGHUP, EVERYWHERE),
    }
    waiting = asyncio.create_task(triggers.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    triggers.put(Trigger.PERIOD)
    assert await waiting == {Hint(Trigger.PERIOD)}


def test_what_several_hints_name() -> None:
    """Names add up; a hint without one, or an issuer whose time has come for all of its files, asks for all."""
    event, schedule = Trigger.EVENT, Trigger.SCHEDULE
    hints = [
        Hint(event, "/a", "x"),
        Hint(event, "/a", "y"),
        Hint(event, "/b", "x"),
        Hint(event, "/b"),
        Hint(schedule, "/c"),
    ]
    assert named(hints, {}) == {"/a": {"x", "y"}, "/b": None, "/c": None}
    assert named(hints, {"/a": None, "/b": {"z"}, "/c": {"z"}}) == {"/a": None, "/b": None, "/c": {"z"}}
    assert named(hints[:1], {"/a": {"z"}}) == {"/a": {"x", "z"}}
