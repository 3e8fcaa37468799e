# SPDX-License-Identifier: Apache-2.0
import os
import signal

import pytest

from rspipe.train.signals import stopping


def test_first_signal_is_noted_and_the_second_ends_the_process():
    with stopping() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signal_name == "SIGTERM"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_patient_process_bears_the_signals_that_torchrun_repeats():
    with stopping(patient=True) as stop:
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert stop.signal_name == "SIGINT"


def test_handlers_are_as_before_afterwards():
    before = signal.getsignal(signal.SIGTERM)
    with stopping():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
