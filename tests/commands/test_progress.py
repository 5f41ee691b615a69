"""The progress of a wait, on a standard error that is not a terminal."""

import pytest

from jwks_server.commands.progress import Progress
from jwks_server.remote.gate import UNANSWERED, Gate, Replica, ReplicaAnswer

A = Replica("https://a.example/keys", "10.0.0.1")


def test_each_change_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """An answer is printed when it changes, and the end when it is known."""
    gate = Gate()
    with Progress(gate, 10) as progress:
        for serves in (False, False, True, True):
            gate.note_round({A: ReplicaAnswer(serves)}, 0)
            progress.show(0)
        gate.note_round({}, 1)
        progress.show(1)
    assert capsys.readouterr().err.splitlines() == [
        f"{A}: doesn't serve the key",
        f"{A}: serves the key",
        "every replica meets the condition; done at 1970-01-01T00:00:00.000Z",
        f"{A}: is no longer there",
    ]


def test_a_replica_without_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """A replica that has not answered is printed only when there was time enough."""
    gate = Gate()
    gate.note_partial({A: UNANSWERED})
    with Progress(gate, 10) as progress:
        progress.show(0)
        assert capsys.readouterr().err == ""
        progress.show(1, unanswered=True)
    assert capsys.readouterr().err == f"{A}: has not answered yet\n"
