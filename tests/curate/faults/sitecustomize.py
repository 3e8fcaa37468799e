# SPDX-License-Identifier: Apache-2.0
"""Faults for worker processes: on PYTHONPATH, every Python that starts there runs this file.

FAULT=kill:NAME kills the process that reads a file of that name, each time.
FAULT=barren:PATH lets no worker start while there is a file PATH.
"""

import os
import signal
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from pathlib import Path

KIND, _, NAME = os.environ.get("FAULT", "").partition(":")


class _Patch(MetaPathFinder):
    """Change rspipe.io.storage as soon as it is imported."""

    def find_spec(self, fullname, path, target=None):
        if fullname != "rspipe.io.storage":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            _arm(module.Storage)

        spec.loader.exec_module = exec_module
        return spec


def _arm(storage):
    read = storage.read_bytes

    def deadly(self, path):
        if path.endswith(NAME):
            os.kill(os.getpid(), signal.SIGKILL)
        return read(self, path)

    storage.read_bytes = deadly


if KIND == "barren" and Path(NAME).exists() and "spawn_main" in " ".join(sys.orig_argv):
    os._exit(1)
if KIND == "kill":
    sys.meta_path.insert(0, _Patch())
