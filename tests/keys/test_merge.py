"""Large ordered collections that differ in little."""

from hypothesis import given
from hypothesis import strategies as st

from jwks_server.keys.merge import changed, differing, merged

ITEMS = st.lists(st.integers(0, 30), max_size=12).map(sorted)
NAMES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 2), max_size=8)


class _Version:
    """An object that is equal to no other one."""


@given(NAMES, NAMES)
def test_changed_names(before: dict[str, int], after: dict[str, int]) -> None:
    """The names that have another object, or that only one mapping has, are found, and no others."""
    versions = {(name, number): _Version() for name in "abcdefgh" for number in range(3)}
    one, other = ({name: versions[name, each[name]] for name in sorted(each)} for each in (before, after))
    assert changed(one, other) == {name for name in one.keys() | other.keys() if one.get(name) is not other.get(name)}


@given(ITEMS, st.lists(st.integers(0, 30), max_size=5))
def test_merged(ordered: list[int], more: list[int]) -> None:
    """The result is in order, and of equal items the first come first."""
    one, other = [(item, "ordered") for item in ordered], [(item, "more") for item in more]
    assert merged(one, other, lambda pair: pair[0]) == tuple(sorted([*one, *other], key=lambda pair: pair[0]))


@given(st.lists(st.integers(0, 3), max_size=6), st.lists(st.integers(0, 3), max_size=6))
def test_differing(one: list[int], other: list[int]) -> None:
    """What is left out is the same at the beginning and at the end of both."""
    left, right = differing(one, other)
    starts = [at for at in range(len(one) + 1) if one[:at] == other[:at]]
    assert any(
        one[:at] + list(left) + one[at + len(left) :] == one
        and other[:at] + list(right) + one[at + len(left) :] == other
        for at in starts
    )
    assert not left or not right or (left[0] is not right[0] and left[-1] is not right[-1])
