"""The mailbox of reasons to reload."""

import asyncio

from jwks_server.source.triggers import EVERYWHERE, Trigger, Triggers


async def test_triggers_coalesce() -> None:
    """However many arrive before they are taken, they are taken together, once."""
    triggers = Triggers()
    for _ in range(3):
        triggers.put(Trigger.EVENT)
    triggers.put(Trigger.EVENT, "/acme")
    triggers.put(Trigger.SIGHUP)
    assert await triggers.get() == {
        (Trigger.EVENT, EVERYWHERE),
        (Trigger.EVENT, "/acme"),
        (Trigger.SIGHUP, EVERYWHERE),
    }
    waiting = asyncio.create_task(triggers.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    triggers.put(Trigger.PERIOD)
    assert await waiting == {(Trigger.PERIOD, EVERYWHERE)}
