# SPDX-License-Identifier: Apache-2.0
import pytest

from tests.report.browser.world import write_world


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("browser") / "hostile")
