"""The mailbox of reasons to reload."""

import asyncio

from jwks_server.source.triggers import Hint, Trigger, Triggers


async def test_triggers_coalesce() -> None:
    """However many arrive before they are taken, they are taken together, once."""
    triggers = Triggers()
    for _ in range(3):
        triggers.put(Trigger.EVENT)
    triggers.put(Trigger.EVENT, "/acme")
    triggers.put(Trigger.EVENT, "/acme", "a.pem")
    triggers.put(Trigger.SIGHUP)
    assert await triggers.get() == {
        Hint(Trigger.EVENT),
        Hint(Trigger.EVENT, "/acme"),
        Hint(Trigger.EVENT, "/acme", "a.pem"),
        Hint(Trigger.SIGHUP),
    }
    waiting = asyncio.create_task(triggers.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    triggers.put(Trigger.PERIOD)
    assert await waiting == {Hint(Trigger.PERIOD)}
