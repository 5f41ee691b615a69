"""``jwks.toml`` over time -> the policy that holds now: the last good one, while the file is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass

from jwks_server.errors import PolicyInvalid
from jwks_server.keys.grace import Held, settle
from jwks_server.keys.policy import Policy, parse


@dataclass(frozen=True, slots=True)
class _Text:
    """What the file said. An empty one may be about to be written, so it is waited for like a bad one."""

    text: bytes

    @property
    def good(self) -> bool:
        return bool(self.text.strip())


class Decided:
    """The operator's decisions.

    Args:
        defaults: What holds where the file says nothing, or is not there.
    """

    def __init__(self, defaults: Policy) -> None:
        self._defaults = defaults
        self._held: Mapping[str, Held[_Text]] = {}
        self._text: bytes | None = None
        self._error: PolicyInvalid | None = None
        self.current: Policy | None = None
        self.until: float | None = None

    def update(
        self, said: bytes | PolicyInvalid | None, now: float, *, bad_for: float, gone_for: float
    ) -> PolicyInvalid | None:
        """Take in what a scan saw of the file; ``current`` is then what holds, None if there never was a good policy.

        Args:
            said: The file's text, or why it can't be read, or None where there is no file.
            now: The time of the scan, in seconds since the epoch.
            bad_for: How long an empty file is waited for, in seconds.
            gone_for: How long a missing one is.

        Returns:
            What is wrong with the file, if anything is.
        """
        if isinstance(said, PolicyInvalid):
            return said
        seen = {} if said is None else {"": _Text(said)}
        settled = settle(seen, self._held, now, bad_for=bad_for, gone_for=gone_for)
        self._held, self.until = settled.held, settled.until
        text = settled.items[""].text if settled.items else b""
        if text != self._text:
            self._text = text
            try:
                self.current, self._error = parse(text, self._defaults), None
            except PolicyInvalid as error:
                self._error = error
        return self._error
