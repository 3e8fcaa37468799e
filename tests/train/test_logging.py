# SPDX-License-Identifier: Apache-2.0
from rspipe.train.logging import MetricsLog, read_metrics


def test_steps_that_will_be_repeated_are_taken_back(tmp_path):
    with MetricsLog(tmp_path, 0) as log:
        for step in (1, 2, 3):
            log.write(step, {"loss": step / 2})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')  # killed here
    with MetricsLog(tmp_path, 2) as log:
        log.write(3, {"loss": 9.0})
    assert [(m["step"], m["loss"]) for m in read_metrics(tmp_path)] == [
        (1, 0.5),
        (2, 1.0),
        (3, 9.0),
    ]
