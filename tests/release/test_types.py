# SPDX-License-Identifier: Apache-2.0
"""A project that installs rspipe gets its types: `py.typed`, and the stub of `import rspipe`."""

import re
import subprocess
import sys

CONSUMER = """\
from pathlib import Path

import rspipe

corpus = rspipe.Corpus.open("data/corpus/demo")
reveal_type(len(corpus))
reveal_type(corpus.images([0])[0])
reveal_type(rspipe.Encoder.load(Path("data/runs/demo")))
try:
    corpus.tile_ids([0])
except rspipe.RspipeError as error:
    reveal_type(error.exit_code)
corpus.tile_ids("0.5")
rspipe.Corpse
"""


def test_a_consumer_is_checked_against_the_public_interface(tmp_path):
    path = tmp_path / "consumer.py"
    path.write_text(CONSUMER)
    # With the project's settings, so that the cache of `make types` serves.
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    revealed = re.findall(r'Revealed type is "(.*?)"', done.stdout)
    assert revealed[0].endswith("int")
    assert "ndarray" in revealed[1]
    assert revealed[2].endswith("rspipe.models.encoder.Encoder")
    assert revealed[3].endswith("int")
    errors = re.findall(r"consumer.py:(\d+): error: (.*)", done.stdout)
    assert [int(line) for line, _ in errors] == [13, 14], done.stdout
