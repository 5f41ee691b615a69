"""What the metrics say of each issuer, read back with Prometheus's own parser."""

import pytest
from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from jwks_server.errors import DirectoryMissing
from jwks_server.published.catalog import Entry
from jwks_server.serving.issuer_metrics import join, write
from jwks_server.serving.slices import Facts, in_slices


def families_of(text: str) -> list[Metric]:
    """Read Prometheus's own format."""
    return list(text_string_to_metric_families(text))


async def text_of(issuer: str, facts: Facts) -> str:
    """Write the metrics of one issuer."""
    return (await in_slices(join({issuer: await in_slices(write(issuer, facts))}))).decode()


@pytest.mark.parametrize("issuer", ["/", "/acme", '/a"b\\c\nd', "/\udcff", "/é"])
async def test_both_formats_read_alike(entry: Entry, issuer: str) -> None:
    """Whatever an issuer is called, both parsers read one family after the other, with its name in each sample."""
    text = await text_of(issuer, Facts(entry, None, (DirectoryMissing("gone"), DirectoryMissing("gone"))))
    families = families_of(text)
    read = openmetrics.text_string_to_metric_families(text + "# EOF\n")  # type: ignore[no-untyped-call]
    assert [one.name for one in families] == [one.name for one in read]
    assert {one.type for one in families} == {"gauge"}
    samples = [sample for family in families for sample in family.samples]
    assert {sample.labels["issuer"] for sample in samples} == {issuer.replace("\udcff", "\\udcff")}
    values = {sample.name: sample.value for sample in samples}
    assert values["jwks_server_faults"] == 2
    assert values["jwks_server_set_info"] == 1
    assert sum(sample.value for sample in samples if sample.name == "jwks_server_keys") == len(entry.keyset.keys) == 2
    kids = {sample.labels["kid"] for sample in samples if sample.name == "jwks_server_key_info"}
    assert kids == {one.kid for one in entry.keyset.keys}


async def test_issuer_without_a_set() -> None:
    """Nothing is said of an issuer about which nothing is known, and each family is declared all the same."""
    families = families_of(await text_of("/", Facts(None, None, ())))
    assert len(families) == 9
    assert not any(family.samples for family in families)
