# SPDX-License-Identifier: Apache-2.0
import pytest

from rspipe.compare.plan import PlannedRun
from rspipe.compare.runs import train_in_children
from rspipe.errors import RunError
from rspipe.recipe import validate
from rspipe.train.config import PretrainRecipe
from tests.compare.conftest import BASE


def test_a_run_that_fails_in_its_process_is_named_with_the_end_of_its_log(tmp_path):
    folder = tmp_path / "runs" / "mae-s0"
    data = BASE | {"name": "mae-s0", "corpus": str(tmp_path / "nowhere"), "out": str(folder)}
    run = PlannedRun("mae", validate(data, PretrainRecipe, "test"), macs_per_image=1)
    with pytest.raises(RunError, match=r"mae-s0 failed; .*mae-s0\.log ends with(.|\n)*nowhere"):
        train_in_children([run], parallel=1)
    assert (tmp_path / "runs" / "mae-s0.yaml").is_file()
