"""The scenarios of the alerts: what each replica's series are, and which alerts fire from which minute to which.

docs/reference/alerts.md is the table of these, and ``deploy/test_alerts.py`` runs them in promtool.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

DAY = 86400
# The test's clock starts at 0. A sample a minute, for two hours.
MINUTES = 120
STEADY = f"x{MINUTES}"

Series = Mapping[str, str | float | None]
# From which minute an alert fires, and from which it doesn't any more; None for never.
Firing = Mapping[str, tuple[int, int | None]]

ROOT = 'issuer="/"'
CERTIFICATE = 'jwks_server_key_certificate_not_after_timestamp_seconds{issuer="/",kid="old"}'
EARLY = 'jwks_server_signing_too_early_until_timestamp_seconds{issuer="/"}'
FAULT = 'jwks_server_faults{issuer="/acme",code="policy-invalid"}'
SERVING = "jwks_server_serving_certificate"
NOT_BEFORE, NOT_AFTER = f"{SERVING}_not_before_timestamp_seconds", f"{SERVING}_not_after_timestamp_seconds"
RELOADED = f"{SERVING}_last_reload_successful"
PUBLISHED = "jwks_server_issuer_published_keys"

SCANNED = "jwks_server_last_scan_timestamp_seconds"

HEALTHY: Series = {
    "up": 1,
    'jwks_server_build_info{version="1"}': 1,
    "jwks_server_ready": 1,
    "jwks_server_draining": 0,
    SCANNED: f"0+60x{MINUTES}",
    'jwks_server_set_info{digest="all1"}': 1,
    CERTIFICATE: 90 * DAY,
    NOT_BEFORE: -30 * DAY,
    NOT_AFTER: 60 * DAY,
    RELOADED: 1,
    # These are there with --metrics-per-issuer only.
    f'jwks_server_issuer_set_info{{{ROOT},digest="d1"}}': 1,
    f"{PUBLISHED}{{{ROOT}}}": 1,
    f"jwks_server_issuer_last_reload_successful{{{ROOT}}}": 1,
}
GONE: Series = dict.fromkeys(HEALTHY)
DOWN: Series = {**GONE, "up": 0}


def until(minute: int, value: object = 1) -> str:
    """Give a value up to a minute, after which the target or the series is gone."""
    return f"{value}x{minute - 1} stale"


def only(first: int, last: int, value: object = 1) -> str:
    """Give a value from one minute to another."""
    return f"_x{first} {value}x{last - first} stale"


def leaving(minute: int) -> Series:
    """Take a replica away at a minute."""
    return {name: until(minute, value) for name, value in HEALTHY.items() if isinstance(value, int)} | {
        SCANNED: f"0+60x{minute - 1} stale"
    }


def coming(minute: int) -> Series:
    """Add a replica at a minute."""
    return {name: only(minute, MINUTES, value) for name, value in HEALTHY.items() if isinstance(value, int)} | {
        SCANNED: f"_x{minute} {minute * 60}+60x{MINUTES - minute}"
    }


@dataclass(frozen=True)
class Case:
    """What replicas a and b do otherwise than a healthy one, the replicas that come later, and which alerts fire."""

    a: Series = field(default_factory=dict)
    b: Series = field(default_factory=dict)
    fires: Firing = field(default_factory=dict)
    more: tuple[Series, ...] = ()

    def series(self, *, per_issuer: bool) -> list[dict[str, str]]:
        """Write the series as promtool reads them, with those of ``--metrics-per-issuer`` or without."""
        replicas = (self.a, self.b, *({**GONE, **one} for one in self.more))
        return [
            one for name, replica in zip("abcd", replicas, strict=False) for one in _series(name, replica, per_issuer)
        ]


NO_KEY: Series = {f"{PUBLISHED}{{{ROOT}}}": 0}
OTHER_SET: Series = {
    'jwks_server_set_info{digest="all1"}': None,
    'jwks_server_set_info{digest="all2"}': 1,
    f'jwks_server_issuer_set_info{{{ROOT},digest="d1"}}': None,
    f'jwks_server_issuer_set_info{{{ROOT},digest="d2"}}': 1,
}
SOON_OTHER: Series = {
    'jwks_server_set_info{digest="all1"}': only(3, MINUTES),
    'jwks_server_set_info{digest="all2"}': until(3),
    f'jwks_server_issuer_set_info{{{ROOT},digest="d1"}}': only(3, MINUTES),
    f'jwks_server_issuer_set_info{{{ROOT},digest="d2"}}': until(3),
}
ONBOARDED: Series = {
    'jwks_server_set_info{digest="all1"}': until(10),
    'jwks_server_set_info{digest="all2"}': only(10, MINUTES),
    'jwks_server_issuer_set_info{issuer="/acme",digest="d2"}': only(10, MINUTES),
    f'{PUBLISHED}{{issuer="/acme"}}': only(10, MINUTES),
    'jwks_server_issuer_last_reload_successful{issuer="/acme"}': only(10, MINUTES),
}
RESTARTED: Series = {name: "1x9 stale 1x109" for name in HEALTHY if "timestamp" not in name and name != RELOADED}

CASES = {
    "all is well": Case(),
    "nothing is scraped": Case(GONE, GONE, {"JwksServerAbsent": (5, None)}),
    "nothing is scraped for a while": Case(
        {'jwks_server_build_info{version="1"}': only(20, MINUTES)},
        {'jwks_server_build_info{version="1"}': only(20, MINUTES)},
        {"JwksServerAbsent": (5, 20)},
    ),
    "a replica's target is down": Case(DOWN, fires={"JwksReplicaMissing": (10, None)}),
    "a replica's target is down for a while": Case({**GONE, "up": "0x29 1x90"}, fires={"JwksReplicaMissing": (10, 30)}),
    "a replica of two vanishes": Case(leaving(20), fires={"JwksReplicaMissing": (30, 76)}),
    "a single replica from the start": Case(GONE),
    "a rolling restart by new pods": Case(leaving(20), leaving(24), more=(coming(19), coming(23))),
    "a restart in place without state": Case(RESTARTED),
    "a replica drains": Case({"jwks_server_ready": 0, "jwks_server_draining": 1}),
    "an issuer has no published key": Case(NO_KEY, fires={"JwksNoKeys": (2, None)}),
    "an issuer has no published key for a while": Case(
        {f"{PUBLISHED}{{{ROOT}}}": "0x9 1x110"}, fires={"JwksNoKeys": (2, 10)}
    ),
    "another issuer has no published key": Case(
        {f'{PUBLISHED}{{issuer="/acme"}}': 0}, {f'{PUBLISHED}{{issuer="/acme"}}': 0}, {"JwksNoKeys": (2, None)}
    ),
    "a new issuer's first key is planned": Case({'jwks_server_keys{stage="pending",alg="RS256"}': 1}),
    "the directory is missing from the start": Case(
        {
            **GONE,
            "up": 1,
            'jwks_server_build_info{version="1"}': 1,
            "jwks_server_ready": 0,
            "jwks_server_draining": 0,
            'jwks_server_faults{issuer="/",code="directory-missing"}': 1,
        },
        fires={"JwksNoKeys": (2, None), "JwksReloadFailing": (5, None)},
    ),
    "all keys were replaced at once": Case({EARLY: 1800}, fires={"JwksSigningTooEarly": (1, 30)}),
    "a new key is published beside the old one": Case({'jwks_server_keys{stage="published",alg="RS256"}': 2}),
    "an issuer is onboarded": Case(ONBOARDED, ONBOARDED),
    "replicas serve different sets": Case(OTHER_SET, fires={"JwksReplicasDisagree": (5, None)}),
    "replicas serve different sets for a while": Case(
        {name: value if value is None else "1x29 stale" for name, value in OTHER_SET.items()}
        | {
            'jwks_server_set_info{digest="all1"}': only(30, MINUTES),
            f'jwks_server_issuer_set_info{{{ROOT},digest="d1"}}': only(30, MINUTES),
        },
        fires={"JwksReplicasDisagree": (5, 30)},
    ),
    "a changed Secret reaches one replica later": Case(SOON_OTHER),
    "one issuer's policy is bad": Case(
        {FAULT: 1, 'jwks_server_issuer_last_reload_successful{issuer="/acme"}': 0},
        fires={"JwksReloadFailing": (5, None)},
    ),
    "one issuer's policy is bad for a while": Case({FAULT: until(20)}, fires={"JwksReloadFailing": (5, 20)}),
    "one issuer's policy is bad for a moment": Case({FAULT: until(3)}),
    "the directory goes missing": Case(
        {
            SCANNED: f"60x{MINUTES}",
            'jwks_server_faults{issuer="/",code="directory-missing"}': 1,
        },
        fires={"JwksReloadFailing": (5, None), "JwksStaleSet": (13, None)},
    ),
    "the directory's filesystem hangs for a while": Case(
        {SCANNED: "60x39 2400+60x80"}, fires={"JwksStaleSet": (13, 40)}
    ),
    "a key's certificate ends within 14 days": Case({CERTIFICATE: 13 * DAY}, fires={"JwksKeyNearExpiry": (60, None)}),
    "a key's certificate has ended": Case({CERTIFICATE: -DAY}, fires={"JwksKeyNearExpiry": (60, None)}),
    "a key's certificate is renewed late": Case(
        {CERTIFICATE: f"{13 * DAY}x79 {90 * DAY}x40"}, fires={"JwksKeyNearExpiry": (60, 80)}
    ),
    "the TLS certificate ends soon": Case({NOT_AFTER: 7 * DAY}, fires={"JwksServingCertificateNearExpiry": (5, None)}),
    "a TLS certificate of a day is in its last fifth": Case(
        {NOT_BEFORE: -72000, NOT_AFTER: 14400}, fires={"JwksServingCertificateNearExpiry": (5, None)}
    ),
    "a TLS certificate of a day is in its first half": Case({NOT_BEFORE: -DAY / 4, NOT_AFTER: DAY * 3 / 4}),
    "the TLS certificate is renewed late": Case(
        {NOT_AFTER: f"{7 * DAY}x29 {90 * DAY}x90"}, fires={"JwksServingCertificateNearExpiry": (5, 30)}
    ),
    "the TLS certificate expires in use, and is renewed": Case(
        {NOT_AFTER: f"{30 * 60}x59 {90 * DAY}x60"},
        fires={"JwksServingCertificateNearExpiry": (5, 30), "JwksServingCertificateInvalid": (32, 60)},
    ),
    "the TLS certificate is not valid yet": Case({NOT_BEFORE: 3600}, fires={"JwksServingCertificateInvalid": (1, 60)}),
    "an expired TLS certificate is refused": Case(
        {RELOADED: 0}, fires={"JwksServingCertificateNotReloaded": (5, None)}
    ),
    "a bad TLS certificate is repaired": Case(
        {RELOADED: "0x19 1x100"}, fires={"JwksServingCertificateNotReloaded": (5, 20)}
    ),
    "TLS is not used": Case({NOT_BEFORE: None, NOT_AFTER: None, RELOADED: None}),
}


def _series(instance: str, changes: Series, per_issuer: bool) -> list[dict[str, str]]:
    target = f'job="jwks-server-admin",namespace="jwks",instance="{instance}"'
    return [
        {
            "series": f"{name.removesuffix('}')}{',' if '{' in name else '{'}{target}}}",
            "values": value if isinstance(value, str) else f"{value}{STEADY}",
        }
        for name, value in {**HEALTHY, **changes}.items()
        if value is not None and (per_issuer or not _only_per_issuer(name, value))
    ]


def _only_per_issuer(name: str, value: str | float) -> bool:
    if name.startswith("jwks_server_issuer_set_info"):
        return True
    shows_fault = str(value).startswith("0")
    return name.startswith((PUBLISHED, "jwks_server_issuer_last_reload_successful")) and not shows_fault


def matrix(alerts: list[str]) -> str:
    """Write the table of scenarios and alerts."""
    short = [name.removeprefix("Jwks") for name in alerts]
    lines = [f"| scenario | {' | '.join(short)} |", f"| --- {'| --- ' * len(alerts)}|"]
    for name, case in CASES.items():
        cells = []
        for alert in alerts:
            first, last = case.fires.get(alert, (None, None))
            cells.append("" if first is None else f"{first}-" if last is None else f"{first}-{last}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
