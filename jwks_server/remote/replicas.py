"""Every address behind some URLs, asked in rounds whether it serves a key."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from yarl import URL

from jwks_server.errors import FetchFailed
from jwks_server.remote import client
from jwks_server.remote.gate import UNANSWERED, Replica, ReplicaAnswer

Answers = Mapping[Replica, ReplicaAnswer]


class Replicas:
    """The replicas of a JWK Set. A set that hasn't changed since the last round is not sent again.

    Args:
        kid: The key to look for.
        urls: The URLs of the set.
    """

    def __init__(self, kid: str, urls: Sequence[URL]) -> None:
        self._kid = kid
        self._urls = urls
        self._replies: dict[Replica, client.Answer] = {}
        self._answers: Answers = {Replica(str(url)): UNANSWERED for url in urls}

    async def ask(
        self, deadline: float | None = None, arrived: Callable[[Answers], None] = lambda _answers: None
    ) -> Answers:
        """Resolve every URL again, and ask all addresses at the same time.

        Args:
            deadline: When to stop waiting, by the event loop's clock; None to wait for each answer's own timeout.
            arrived: Called after each answer, with the last answers of all replicas.

        Returns:
            The answers in this round of all replicas that exist now.
        """
        round_ = _Round(self._answers, arrived)
        async with asyncio.TaskGroup() as tasks:
            for url in self._urls:
                tasks.create_task(self._ask_behind(url, deadline, round_))
        self._answers = round_.answers
        return self._answers

    async def _ask_behind(self, url: URL, deadline: float | None, round_: "_Round") -> None:
        unresolved = Replica(str(url))
        try:
            async with asyncio.timeout_at(deadline):
                addresses = await client.resolve(url)
        except FetchFailed as error:
            round_.add(unresolved, _no_answer(url, error))
            return
        except TimeoutError:
            round_.add_timeout(unresolved)
            return
        replicas = [Replica(str(url), address) for address in sorted(addresses)]
        round_.expect(unresolved, replicas)
        async with asyncio.TaskGroup() as tasks:
            for replica in replicas:
                tasks.create_task(self._ask_one(url, replica, deadline, round_))

    async def _ask_one(self, url: URL, replica: Replica, deadline: float | None, round_: "_Round") -> None:
        try:
            async with asyncio.timeout_at(deadline), client.session(replica.address) as session:
                reply = await client.fetch(session, url, self._replies.get(replica))
            keys = reply.keys()
        except FetchFailed as error:
            round_.add(replica, _no_answer(url, error))
        except TimeoutError:
            round_.add_timeout(replica)
        else:
            self._replies[replica] = reply
            serves = any(key.get("kid") == self._kid for key in keys)
            round_.add(replica, ReplicaAnswer(serves, reply.max_age))


def _no_answer(url: URL, error: FetchFailed) -> ReplicaAnswer:
    """Say why there was no set; the URL stands before it already."""
    return ReplicaAnswer(None, reason=error.message.removeprefix(f"{url} ").removeprefix(f"{url.host} "))


class _Round:
    """The answers of a round so far, and those of the round before it."""

    def __init__(self, before: Answers, arrived: Callable[[Answers], None]) -> None:
        self.answers: dict[Replica, ReplicaAnswer] = {}
        self._before = dict(before)
        self._arrived = arrived

    def expect(self, unresolved: Replica, replicas: Sequence[Replica]) -> None:
        """Note the addresses behind a URL, in place of the URL itself."""
        self._before.pop(unresolved, None)
        self._before = dict.fromkeys(replicas, UNANSWERED) | self._before
        self._arrived(self._before | self.answers)

    def add(self, replica: Replica, answer: ReplicaAnswer) -> None:
        """Note an answer."""
        self.answers[replica] = answer
        self._arrived(self._before | self.answers)

    def add_timeout(self, replica: Replica) -> None:
        """Note that the time is over before the answer came."""
        before = self._before.get(replica, UNANSWERED)
        answer = before if before.reason else ReplicaAnswer(None, reason=f"{before}, and has not answered since")
        self.add(replica, answer)
