# SPDX-License-Identifier: Apache-2.0
"""Signals and the Slurm script of docs/gpus-and-clusters.md; Slurm is played by stand-ins."""

import os
import re
import signal
import subprocess
import time

import pytest

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs/gpus-and-clusters.md").read_text()
SCRIPT = re.search(r'title="pretrain.sbatch"\n(.*?)```', PAGE, re.DOTALL)[1]
STAND_INS = {
    # A run: says that it is there; at SIGTERM it saves, and does or does not get to its end.
    "srun": """#!/bin/bash
trap 'echo saved >>log; [ -z "$FINISHES" ] || touch data/runs/long/manifest.json; exit 143' TERM
echo $$ >pid; echo "$@" >>log
[ -z "$FAILS" ] || exit 4
while :; do sleep 0.02; done
""",
    "scancel": """#!/bin/bash
echo "scancel $@" >>log; kill -TERM "$(cat pid)"
""",
    "scontrol": """#!/bin/bash
if [ "$1" = show ]; then echo head; echo other; else echo "scontrol $@" >>log; fi
""",
}


@pytest.fixture
def job(tmp_path):
    """Start the script where Slurm would; give its process."""
    (tmp_path / "bin").mkdir()
    for name, text in STAND_INS.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    for folder in (".venv/bin", "data/runs/long"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / ".venv/bin/activate").touch()
    slurm = {
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "n[1-2]",
        "SLURM_NNODES": "2",
        "SLURM_CPUS_PER_TASK": "96",
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
    }

    def start(**env):
        process = subprocess.Popen(
            ["bash", "-c", SCRIPT], cwd=tmp_path, env={**os.environ, **slurm, **env}
        )
        started.append(process)
        while not (tmp_path / "log").exists():
            time.sleep(0.01)
        return process

    started = []
    yield start
    for process in started:
        process.kill()
        process.wait()


def log(folder):
    return (folder / "log").read_text().splitlines()[1:]


def test_out_of_time_the_run_saves_and_the_job_is_put_back(job, tmp_path):
    process = job()
    process.send_signal(signal.SIGUSR1)
    process.wait(10)
    assert log(tmp_path) == ["scancel --signal=TERM 7", "saved", "scontrol requeue 7"]


def test_a_run_that_ends_just_in_time_is_not_put_back(job, tmp_path):
    process = job(FINISHES="1")
    process.send_signal(signal.SIGUSR1)
    process.wait(10)
    assert log(tmp_path) == ["scancel --signal=TERM 7", "saved"]


def test_a_run_that_fails_is_not_put_back_and_its_code_is_the_jobs(job, tmp_path):
    assert job(FAILS="1").wait(10) == 4
    assert log(tmp_path) == []


def test_a_preempted_job_waits_for_its_run(job, tmp_path):
    process = job()
    process.send_signal(signal.SIGTERM)  # Slurm itself sends it to the steps, too
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
    assert process.wait(10) == 143
    assert log(tmp_path) == ["saved"]
