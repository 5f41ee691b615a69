"""When memory goes back to the system."""

from jwks_server.serving.freed_memory import FreedMemory


def test_after_a_wave() -> None:
    """It goes back after a wave of closed connections, and not again within seconds."""
    freed = FreedMemory()
    freed.closed = 127
    freed.give_back(100.0)
    assert freed.closed == 127
    freed.closed = 128
    freed.give_back(100.0)
    assert freed.closed == 0
    freed.closed = 500
    freed.give_back(104.9)
    assert freed.closed == 500
    freed.give_back(105.0)
    assert freed.closed == 0
