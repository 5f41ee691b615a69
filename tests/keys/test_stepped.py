"""Durations do not count the time by which the machine's clock was set forward."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from support import key, public_pem, thumbprint

from jwks_server.keys.evaluate import evaluate
from jwks_server.keys.evaluation import Evaluation, Rules
from jwks_server.keys.keyset import KeyFile, read_file
from jwks_server.keys.observation import Observation
from jwks_server.keys.policy import Policy
from jwks_server.keys.stepped import stepped

GOOD = [read_file("a.pem", public_pem(key("P-256", number)), None).keys for number in range(3)]
BAD = read_file("a.pem", b"-----BEGIN PUBLIC KEY-----\n", None)
REVOKES = f'revoked = ["{thumbprint(key("P-256", 0))}"]'.encode()
RULES = Rules(Policy(), grace=2)

FILES = st.dictionaries(
    st.sampled_from(["a.pem", "b.pem"]),
    st.sampled_from([*(KeyFile("", keys) for keys in GOOD), BAD]),
    max_size=2,
)
LOOKS = st.tuples(
    st.sampled_from([0.0, 0.1, 0.3, 0.7, 1.1, 2.1]),
    st.sampled_from([0, 1, 60, 86400]),
    FILES,
    st.sampled_from([None, b"", REVOKES]),
    st.booleans(),
)


def _outcomes(evaluation: Evaluation) -> object:
    published = [one.identity for one in evaluation.served.keys] if evaluation.served else []
    return published, sorted((one.file, one.outcome) for one in evaluation.verdicts), evaluation.gone


@given(st.lists(LOOKS, min_size=1, max_size=10))
def test_any_history(looks: Sequence[tuple[float, int, dict[str, KeyFile], bytes | None, bool]]) -> None:
    """Wherever the clock is set forward in a history, each look decides what it would have decided without that."""
    before, other, now, ahead = Evaluation(), Evaluation(), 100.0, 0
    for pause, step, files, policy, there in looks:
        now += pause
        ahead += step
        named = {name: KeyFile(name, file.keys, file.error) for name, file in sorted(files.items())}
        seen = Observation(named, policy, whole=False, there=there) if there else Observation.nothing(whole=False)
        before = evaluate(seen, before, now, RULES, place="keys", alone=True)
        other = evaluate(seen, stepped(other, step), now + ahead, RULES, place="keys", alone=True)
        assert _outcomes(other) == _outcomes(before)


def test_nothing_waits() -> None:
    """An evaluation in which nothing waits stays the same object, so that nothing is decided again."""
    seen = Observation({"a.pem": KeyFile("a.pem", GOOD[0])}, None, whole=False)
    evaluation = evaluate(seen, Evaluation(), 100, RULES, place="keys", alone=True)
    assert stepped(evaluation, 3600) is evaluation
