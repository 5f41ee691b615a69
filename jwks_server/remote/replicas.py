"""Every address behind some URLs, asked in rounds whether it serves a key."""

import asyncio
from collections.abc import Mapping, Sequence

from yarl import URL

from jwks_server.errors import FetchFailed
from jwks_server.remote import client
from jwks_server.remote.gate import Replica, Sight


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

    async def ask(self) -> Mapping[Replica, Sight]:
        """Resolve every URL anew, and ask all addresses at the same time."""
        sights: dict[Replica, Sight] = {}
        async with asyncio.TaskGroup() as tasks:
            for url in self._urls:
                tasks.create_task(self._ask_behind(url, sights))
        return sights

    async def _ask_behind(self, url: URL, sights: dict[Replica, Sight]) -> None:
        try:
            addresses = await client.resolve(url)
        except FetchFailed as error:
            sights[Replica(str(url))] = Sight(None, reason=error.message)
            return
        async with asyncio.TaskGroup() as tasks:
            for address in addresses:
                tasks.create_task(self._ask_one(url, Replica(str(url), address), sights))

    async def _ask_one(self, url: URL, replica: Replica, sights: dict[Replica, Sight]) -> None:
        try:
            async with client.session(replica.address) as session:
                answer = await client.fetch(session, url, self._last.get(replica))
            keys = answer.keys()
        except FetchFailed as error:
            sights[replica] = Sight(None, reason=error.message)
        else:
            self._last[replica] = answer
            sights[replica] = Sight(any(key.get("kid") == self._kid for key in keys), answer.max_age)
