"""When a gate opens, round by round."""

import pytest

from jwks_server.remote.gate import Gate, Replica, ReplicaAnswer

A, B, C = (Replica("https://a.example/keys", f"10.0.0.{number}") for number in (1, 2, 3))
WITH, WITHOUT, DOWN = (
    ReplicaAnswer(serves=True, max_age=300),
    ReplicaAnswer(serves=False, max_age=300),
    ReplicaAnswer(None, reason="refused"),
)


def test_opens_with_the_last_replica() -> None:
    """It is shut while one doesn't serve the key, and opens at the round in which the last has it."""
    gate = Gate()
    assert gate.opens_at is None
    gate.note_round({A: WITH, B: WITHOUT}, 10)
    assert (gate.opens_at, set(gate.waiting)) == (None, {B})
    gate.note_round({A: WITH, B: WITH}, 11)
    assert gate.opens_at == 11


@pytest.mark.parametrize("answers", [{}, {A: DOWN}, {A: WITH, B: DOWN}])
def test_nobody_is_nobody(answers: dict[Replica, ReplicaAnswer]) -> None:
    """No replica, or one that can't be reached, is none that serves the key."""
    gate = Gate()
    gate.note_round(answers, 10)
    assert gate.opens_at is None


def test_safe_counts_from_the_last_replica() -> None:
    """Signing is safe when what any replica handed out before has left all caches and verifiers."""
    gate = Gate(propagation=900)
    gate.note_round({A: WITH, B: ReplicaAnswer(serves=False, max_age=600)}, 10)
    gate.note_round({A: WITH, B: WITH}, 20)
    gate.note_round({A: WITH, B: WITH}, 30)
    assert gate.opens_at == 20 + 600 + 900


def test_safe_counts_anew_after_a_wrong_answer() -> None:
    """A replica that goes back to the old set fills caches with it again; so does a new one that starts with it."""
    gate = Gate(propagation=100)
    gate.note_round({A: WITH}, 10)
    gate.note_round({A: WITHOUT}, 20)
    gate.note_round({A: WITH}, 30)
    assert gate.opens_at == 30 + 300 + 100
    gate.note_round({A: WITH, B: WITHOUT}, 40)
    gate.note_round({A: WITH}, 50)
    assert gate.opens_at == 50 + 300 + 100


def test_an_outage_shuts_but_does_not_start_anew() -> None:
    """A replica that can't be reached hands nothing out; when it is back the time goes on from where it was."""
    gate = Gate(propagation=100)
    gate.note_round({A: WITH, B: WITH}, 10)
    gate.note_round({A: WITH, B: DOWN}, 20)
    assert gate.opens_at is None
    gate.note_round({A: WITH, B: WITH}, 30)
    assert gate.opens_at == 10 + 300 + 100


def test_replicas_that_come_and_go() -> None:
    """One that is gone is not waited for; a new one is, and costs no time if it has the key from the start."""
    gate = Gate(propagation=100)
    gate.note_round({A: WITH, B: WITHOUT}, 10)
    gate.note_round({A: WITH}, 20)
    assert gate.opens_at == 20 + 300 + 100
    gate.note_round({A: WITH, C: WITH}, 30)
    assert gate.opens_at == 20 + 300 + 100


def test_half_a_round() -> None:
    """What came of a round so far may shut the gate and start the time anew, but never opens it."""
    gate = Gate(propagation=100)
    gate.note_partial({A: WITH, B: WITH})
    assert (gate.opens_at, gate.answers) == (None, {A: WITH, B: WITH})
    gate.note_round({A: WITH, B: WITH}, 10)
    gate.note_partial({A: WITH, B: WITHOUT})
    gate.note_partial({A: WITH, B: WITH})
    assert gate.opens_at is None
    gate.note_round({A: WITH, B: WITH}, 20)
    assert gate.opens_at == 20 + 300 + 100


def test_published_at() -> None:
    """A time that is known counts, but no gate opens before all replicas were seen."""
    gate = Gate(propagation=100, published_at=5)
    gate.note_round({A: WITH}, 10)
    assert gate.opens_at == 5 + 300 + 100
    late = Gate(propagation=100, published_at=5)
    late.note_round({A: WITH}, 10_000)
    assert late.opens_at == 10_000


def test_gone() -> None:
    """For a removal, a replica must answer without the key; an outage is no removal."""
    gate = Gate(gone=True)
    gate.note_round({A: WITHOUT, B: WITH}, 10)
    assert gate.opens_at is None
    gate.note_round({A: WITHOUT, B: DOWN}, 20)
    assert gate.opens_at is None
    gate.note_round({A: WITHOUT, B: WITHOUT}, 30)
    assert gate.opens_at == 30
