"""Every address behind some URLs, asked in rounds whether it serves a key."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from yarl import URL

from jwks_server.errors import FetchFailed
from jwks_server.remote import client
from jwks_server.remote.gate import SILENT, Replica, Sight


class Replicas:
    """The replicas of a JWK Set. What one answered last is asked for only if it has changed.

    Args:
        kid: The key that is asked about.
        urls: Where the set is.
    """

    def __init__(self, kid: str, urls: Sequence[URL]) -> None:
        self._kid = kid
        self._urls = urls
        self._last: dict[Replica, client.Answer] = {}
        self._sights: dict[Replica, Sight] = {Replica(str(url)): SILENT for url in urls}

    async def ask(
        self, deadline: float | None = None, arrived: Callable[[Mapping[Replica, Sight]], None] = lambda _sights: None
    ) -> Mapping[Replica, Sight]:
        """Resolve every URL anew, and ask all addresses at the same time.

        Args:
            deadline: When to stop waiting for answers, by the event loop's clock; None for as long as each may take.
            arrived: Is told of the last answers of all replicas whenever one more is known.

        Returns:
            What each replica that there is now answered in this round.
        """
        round_ = _Round(self._sights, arrived)
        async with asyncio.TaskGroup() as tasks:
            for url in self._urls:
                tasks.create_task(self._ask_behind(url, deadline, round_))
        self._sights = round_.sights
        return self._sights

    async def _ask_behind(self, url: URL, deadline: float | None, round_: "_Round") -> None:
        nowhere = Replica(str(url))
        try:
            async with asyncio.timeout_at(deadline):
                addresses = await client.resolve(url)
        except FetchFailed as error:
            round_.see(nowhere, Sight(None, reason=error.message))
            return
        except TimeoutError:
            round_.miss(nowhere)
            return
        replicas = [Replica(str(url), address) for address in sorted(addresses)]
        round_.expect(nowhere, replicas)
        async with asyncio.TaskGroup() as tasks:
            for replica in replicas:
                tasks.create_task(self._ask_one(url, replica, deadline, round_))

    async def _ask_one(self, url: URL, replica: Replica, deadline: float | None, round_: "_Round") -> None:
        try:
            async with asyncio.timeout_at(deadline), client.session(replica.address) as session:
                answer = await client.fetch(session, url, self._last.get(replica))
            keys = answer.keys()
        except FetchFailed as error:
            round_.see(replica, Sight(None, reason=error.message))
        except TimeoutError:
            round_.miss(replica)
        else:
            self._last[replica] = answer
            serves = any(key.get("kid") == self._kid for key in keys)
            round_.see(replica, Sight(serves, answer.max_age))


class _Round:
    """What a round saw so far, and before it."""

    def __init__(self, before: Mapping[Replica, Sight], arrived: Callable[[Mapping[Replica, Sight]], None]) -> None:
        self.sights: dict[Replica, Sight] = {}
        self._before = dict(before)
        self._arrived = arrived

    def expect(self, nowhere: Replica, replicas: Sequence[Replica]) -> None:
        """Take note of the addresses behind a URL, which stood for itself until they were known."""
        self._before.pop(nowhere, None)
        self._before = dict.fromkeys(replicas, SILENT) | self._before
        self._arrived(self._before | self.sights)

    def see(self, replica: Replica, sight: Sight) -> None:
        """Take in an answer."""
        self.sights[replica] = sight
        self._arrived(self._before | self.sights)

    def miss(self, replica: Replica) -> None:
        """Take note that there is no time left for an answer."""
        before = self._before.get(replica, SILENT)
        said = before if before.reason else Sight(None, reason=f"{before}, and has not answered since")
        self.see(replica, said)
