# SPDX-License-Identifier: Apache-2.0
"""Training and evaluation need none of the libraries that curation brings in."""

import subprocess
import sys
import textwrap

import pytest

from tests.train.fakes import write_corpus

BARRED = (
    "dask distributed rasterio osgeo numba imagehash shapely bokeh psutil xxhash s3fs imagededup"
)
# What a machine that only trains has no use for either.
BARRED_WHEN_TRAINING = BARRED + " scipy sklearn torchmetrics pycocotools"

SCRIPT = '''
import importlib, pkgutil, sys

barred = {barred!r}.split()

class Bare:
    """Finds what another finder does, but for what is barred: as if that were not installed."""

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in barred:
            return None
        return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Bare(finder) for finder in sys.meta_path]
for name in barred:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        continue
    sys.exit(name + " can be imported: nothing is shown")

def walk(package):
    inside = importlib.import_module(package).__path__
    modules = pkgutil.walk_packages(inside, package + ".", onerror=sys.exit)
    return [package, *(module.name for module in modules)]

names = [name for package in {packages!r}.split() for name in walk("rspipe." + package)]
for name in names:
    importlib.import_module(name)
print(len(names), "modules")
{then}
'''

ONE_STEP = """
from pathlib import Path
from rspipe.recipe import validate
from rspipe.train.config import PretrainRecipe
from rspipe.train.trainer import pretrain
recipe = {
    "name": "bare",
    "corpus": CORPUS,
    "out": CORPUS + "/../run",
    "what": {
        "encoder": {"img_px": 32, "patch_px": 4, "width": 16, "depth": 1, "heads": 2},
        "objective": {"name": "mae", "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2},
        "images_per_step": 4,
        "steps": 1,
    },
    "how": {"device": "cpu"},
}
print("wrote", pretrain(validate(recipe, PretrainRecipe, "bare")))
"""


def run_without(barred, packages, then=""):
    script = SCRIPT.format(barred=barred, packages=packages, then=textwrap.dedent(then))
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_one_step_of_training_in_a_bare_environment(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", rows=8)
    packages = "train objectives models corpus"
    done = run_without(BARRED_WHEN_TRAINING, packages, f"CORPUS = {str(corpus)!r}\n{ONE_STEP}")
    assert done.returncode == 0, done.stderr
    assert "wrote" in done.stdout
    assert (tmp_path / "run/encoder.safetensors").is_file()


def test_every_module_of_evaluation_is_imported_in_a_bare_environment():
    done = run_without(BARRED, "evaluate train objectives models corpus")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 50


@pytest.mark.parametrize("package", ["curate"])
def test_curation_shows_that_the_libraries_are_really_barred(package):
    done = run_without(BARRED, package)
    assert done.returncode != 0
    assert "No module named" in done.stderr
