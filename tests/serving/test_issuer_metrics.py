"""What the metrics say of each issuer, read back with Prometheus's own parser."""

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from jwks_server.errors import DirectoryMissing
from jwks_server.keys.evaluation import Evaluation
from jwks_server.published.catalog import Entry
from jwks_server.serving.issuer_metrics import figures, join
from jwks_server.serving.slices import Facts, in_slices
from jwks_server.stats import IssuerReload

READ_OPENMETRICS: Any = openmetrics.text_string_to_metric_families  # the library gives it no types


def families_of(text: str) -> list[Metric]:
    """Read Prometheus's own format."""
    read: Any = text_string_to_metric_families  # the library gives it no types
    return list(read(text))


async def text_of(issuer: str, facts: Facts, *, details: bool = True) -> str:
    """Write the metrics of one issuer, with every detail or only what needs attention."""
    return (await in_slices(join({issuer: await in_slices(figures(issuer, facts, details=details))}))).decode()


@pytest.mark.parametrize("issuer", ["/", "/acme", '/a"b\\c\nd', "/\udcff", "/é"])
async def test_both_formats_read_alike(entry: Entry, issuer: str) -> None:
    """Whatever an issuer is called, both parsers read one family after the other, with its name in each sample."""
    text = await text_of(issuer, Facts(entry, None, (DirectoryMissing("gone"), DirectoryMissing("gone"))))
    families = families_of(text)
    assert [one.name for one in families] == [one.name for one in READ_OPENMETRICS(text + "# EOF\n")]
    assert {one.type for one in families} == {"gauge"}
    samples = [sample for family in families for sample in family.samples]
    assert {sample.labels["issuer"] for sample in samples} == {issuer.replace("\udcff", "\\udcff")}
    values = {sample.name: sample.value for sample in samples}
    assert values["jwks_server_faults"] == 2
    assert values["jwks_server_issuer_set_info"] == 1
    assert (
        sum(sample.value for sample in samples if sample.name == "jwks_server_issuer_keys")
        == len(entry.keyset.keys)
        == 2
    )
    kids = {sample.labels["kid"] for sample in samples if sample.name == "jwks_server_key_info"}
    assert kids == {one.kid for one in entry.keyset.keys}


async def test_issuer_without_a_set() -> None:
    """Nothing is said of an issuer about which nothing is known, and each family is declared all the same."""
    families = families_of(await text_of("/", Facts(None, None, ()), details=False))
    assert len(families) == 12
    assert not any(family.samples for family in families)


async def test_only_what_needs_attention(entry: Entry) -> None:
    """Without details nothing is said of an issuer that is well; one that fails, or has no published key, is named."""
    assert not any(one.samples for one in families_of(await text_of("/", Facts(entry, None, ()), details=False)))
    keyset = replace(entry.keyset, keys=())
    failing = Facts(replace(entry, keyset=keyset), None, (DirectoryMissing("gone"),), IssuerReload(9.0, "failed", 7.0))
    text = await text_of("/acme", failing, details=False)
    assert {sample.name: sample.value for one in families_of(text) for sample in one.samples} == {
        "jwks_server_faults": 1,
        "jwks_server_issuer_failing_since_timestamp_seconds": 7,
        "jwks_server_issuer_published_keys": 0,
        "jwks_server_issuer_last_reload_successful": 0,
    }


async def test_a_first_key_that_is_planned(entry: Entry) -> None:
    """An issuer whose first key is pending lacks nothing; one that never had a key has none."""
    planned = Evaluation(replace(entry.keyset, keys=(), pending=entry.keyset.keys))
    assert "published_keys{" not in await text_of("/", Facts(None, planned, ()), details=False)
    assert 'published_keys{issuer="/"} 0.0' in await text_of("/", Facts(None, Evaluation(), ()), details=False)
