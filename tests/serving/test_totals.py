"""What the metrics say of all issuers together."""

from dataclasses import replace

from jwks_server.errors import DirectoryMissing
from jwks_server.published.catalog import Entry
from jwks_server.serving.issuer_metrics import Figures, figures
from jwks_server.serving.slices import Facts, in_slices
from jwks_server.serving.totals import Totals, total

DAY = 86400.0


async def of(entry: Entry, *issuers: str) -> dict[str, Figures]:
    """Count issuers that publish the same."""
    facts = Facts(entry, None, (DirectoryMissing("gone"),))
    return {issuer: await in_slices(figures(issuer, facts, details=False)) for issuer in issuers}


async def test_sums(entry: Entry) -> None:
    """Keys of all issuers are added up; without an issuer there is nothing."""
    two = await in_slices(total(await of(entry, "/a", "/b")))
    assert (two.sets, sum(two.keys.values())) == (2, 2 * len(entry.keyset.keys))
    assert await in_slices(total({})) == Totals()


async def test_digest(entry: Entry) -> None:
    """The digest is the same for the same sets in any order, and another one for another set, issuer or key."""
    other = replace(entry, keyset=replace(entry.keyset, keys=entry.keyset.keys[:1]))
    found = [
        (await in_slices(total(one))).digest
        for one in (
            await of(entry, "/a", "/b"),
            await of(entry, "/b", "/a"),
            await of(entry, "/a"),
            await of(entry, "/a", "/c"),
            {**await of(entry, "/a"), **await of(other, "/b")},
        )
    ]
    assert found[0] == found[1]
    assert len(set(found)) == 4
    assert all(found)


async def test_certificates_that_end_soon(entry: Entry) -> None:
    """Without details, a certificate is named from 30 days before its end on."""
    (one,) = (await of(entry, "/a")).values()
    both = await in_slices(total({"/a": replace(one, certificates=((40 * DAY, "late\n"), (20 * DAY, "soon\n")))}))
    assert [both.certificates(now) for now in (-11 * DAY, 0.0, 10 * DAY, None)] == [
        "",
        "soon\n",
        "soon\nlate\n",
        "soon\nlate\n",
    ]
