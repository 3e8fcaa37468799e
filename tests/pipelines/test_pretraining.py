# SPDX-License-Identifier: Apache-2.0
"""The pre-training recipes load, and what their heads promise is what they cost."""

import re
from pathlib import Path

import pytest
import torch

from rspipe.compare.config import CompareRecipe
from rspipe.compare.plan import Planner
from rspipe.corpus.reader import Corpus
from rspipe.objectives import build
from rspipe.recipe import load_recipe, read_recipe
from rspipe.train.config import PretrainRecipe
from rspipe.train.peaks import data_sheet
from rspipe.train.schedule import absolute_lr
from tests.benchmarks.bench_pretrain import adamw
from tests.benchmarks.simulated_step import peak_bytes
from tests.train.fakes import FakeCorpus

PIPELINES = Path(__file__).parents[2] / "pipelines"
METHODS = ("selective_mae", "mae", "cross_mae")
PUBLISHED = sorted(path for name in METHODS for path in (PIPELINES / name).glob("*.yaml"))
DEMO = [PIPELINES / "demo" / name for name in ("pretrain.yaml", "mae.yaml")]
BASES = sorted((PIPELINES / "pretraining").glob("*.yaml"))
IMAGES = {"4m": 4_000_000, "13m": 13_203_698}
FLOPS_PER_MAC = 6  # forward and backward, a product and a sum each
MFU, GPUS = 0.4, 8

each_published = pytest.mark.parametrize(
    "path", PUBLISHED, ids=lambda p: f"{p.parent.name}/{p.stem}"
)


def objective_of(recipe):
    with torch.device("meta"):
        return build(recipe.what.objective, recipe.what.encoder, recipe.what.seed)


def said(path, pattern):
    found = re.search(pattern, path.read_text())
    assert found, f"{path}: no line like {pattern!r}"
    return [float(value.replace(",", "")) for value in found.groups()]


def test_every_method_has_every_model_and_corpus():
    names = {
        f"{model}_{corpus}" for model in ("vit_small", "vit_base", "vit_large") for corpus in IMAGES
    }
    for method in METHODS:
        assert {p.stem for p in PUBLISHED if p.parent.name == method} == names


@pytest.mark.parametrize("path", [*PUBLISHED, *DEMO], ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_recipe_loads_and_its_objective_can_be_built(path):
    recipe = load_recipe(path, PretrainRecipe)
    assert objective_of(recipe).macs_per_image() > 0


@each_published
def test_a_recipe_costs_what_its_head_says(path):
    recipe = load_recipe(path, PretrainRecipe)
    what, corpus = recipe.what, path.stem.rsplit("_", 1)[1]
    images = what.steps * what.images_per_step
    (epochs,) = said(path, r": (\d+) epochs")
    assert epochs == round(images / IMAGES[corpus])
    macs = objective_of(recipe).macs_per_image()
    gmacs, exaflops = said(path, r"# cost: ([\d.]+) GMACs per image, forward; ([\d.]+) EFLOPs")
    assert gmacs == pytest.approx(macs / 1e9, abs=5e-4)
    assert exaflops == pytest.approx(FLOPS_PER_MAC * macs * images / 1e18, abs=0.05)
    hours = said(path, r"# hours, estimated at 40 % MFU: (\d+) on 8 A100, (\d+) on 8 H100")
    for stated, gpu in zip(hours, ("A100", "H100 80GB HBM3"), strict=True):
        per_s = GPUS * MFU * data_sheet(gpu, "bf16").flops_per_s
        assert stated == pytest.approx(FLOPS_PER_MAC * macs * images / per_s / 3600, abs=0.5)


@each_published
def test_baselines_may_spend_what_selective_mae_spends(path):
    recipe = load_recipe(path, PretrainRecipe)
    ours = load_recipe(PIPELINES / "selective_mae" / path.name, PretrainRecipe)
    costs = [
        objective_of(r).macs_per_image() * r.what.steps * r.what.images_per_step
        for r in (recipe, ours)
    ]
    assert costs[0] == pytest.approx(costs[1], rel=1e-5)
    assert recipe.corpus == ours.corpus
    assert recipe.what.encoder == ours.what.encoder
    assert recipe.name == f"{path.parent.name}_{path.stem}"


@pytest.mark.parametrize("method", METHODS)
def test_the_memory_in_the_head_is_that_of_a_simulated_step(method):
    path = PIPELINES / method / "vit_small_4m.yaml"
    recipe = load_recipe(path, PretrainRecipe)
    what = recipe.what
    found = peak_bytes(
        lambda: build(what.objective, what.encoder, 0), adamw, recipe.how.images_per_device, "bf16"
    )
    (stated,) = said(path, r"# memory: ([\d.]+) GiB a GPU with 256 images")
    assert stated == pytest.approx(found / 2**30, abs=0.06)


def test_the_schedule_is_the_released_command():
    recipe = load_recipe(PIPELINES / "selective_mae" / "vit_base_4m.yaml", PretrainRecipe)
    what = recipe.what
    assert (what.images_per_step, what.betas, what.weight_decay) == (2048, (0.9, 0.95), 0.05)
    assert what.warmup_fraction * 800 == pytest.approx(30)
    scale = objective_of(recipe).lr_scale
    assert absolute_lr(what.base_lr, what.images_per_step, scale) == pytest.approx(
        3.53e-4, rel=1e-3
    )


def test_every_base_is_extended_and_none_is_a_recipe_by_itself():
    extended = {(path.parent / name).resolve() for path in PUBLISHED for name in extends(path)}
    assert extended == {path.resolve() for path in BASES}
    assert not [path for path in BASES if "name" in read_recipe(path)]


def extends(path):
    return re.findall(r"^  - (\S+\.yaml)$", path.read_text(), re.MULTILINE)


def test_the_demo_s_comparison_is_one_of_seven_at_equal_compute(monkeypatch):
    monkeypatch.setattr(Corpus, "open", lambda path: FakeCorpus())
    monkeypatch.chdir(PIPELINES.parent)
    recipe = load_recipe(PIPELINES / "demo" / "compare.yaml", CompareRecipe)
    planner = Planner(recipe)
    runs = [planner.final(name, 0, None, None) for name in recipe.variants]
    for run in runs:
        assert run.training_macs == pytest.approx(recipe.budget.macs, rel=0.01)
    names = {run.recipe.what.objective.name for run in runs}
    assert names == {"mae", "cross_mae", "selective_mae", "simmim", "dmjd"}
    chosen = {getattr(run.recipe.what.objective, "selection", None) for run in runs}
    assert chosen - {None} == {"hog_topk", "hog_sample", "random"}
    assert len(recipe.seeds) >= 3 and recipe.sweep is not None
