"""Signals are acted on where a run can stop, never elsewhere, and never lost."""

import os
import signal

import pytest

from rl_pbt.executors.interrupts import SIGNALS, heard, held

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_waits_for_the_next_place_where_it_is_heard(number: signal.Signals) -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), held():
        os.kill(os.getpid(), number)
        reached.append("after the signal")
        with heard():
            reached.append("never")
    assert reached == ["after the signal"]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_heard_at_once_while_waiting_and_not_again_while_closing(number: signal.Signals) -> None:
    closed = []
    with pytest.raises(KeyboardInterrupt), held():
        try:
            with heard():
                os.kill(os.getpid(), number)
                signal.pause()
        finally:
            os.kill(os.getpid(), number)
            closed.append(True)
    assert closed


def test_a_signal_that_nothing_heard_is_raised_at_the_end_and_handlers_are_as_before() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(KeyboardInterrupt), held():
        os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(number) for number in SIGNALS] == before
    with held(), heard():
        pass  # the signal of an earlier run is forgotten
