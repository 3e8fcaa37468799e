# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rspipe.corpus.reader import Corpus
from rspipe.errors import WeightsError
from rspipe.models.encoder import Encoder
from rspipe.models.positions import resize_positions
from rspipe.objectives import OBJECTIVES, build
from rspipe.objectives.initial_weights import initialise_from
from rspipe.train.config import PretrainHow, PretrainRecipe, PretrainWhat
from rspipe.train.trainer import pretrain
from tests.models.released_files import DECODER, TINY, make_objective, released_state
from tests.train.fakes import FakeCorpus

RELEASED = ["mae", "cross_mae", "selective_mae"]


def other(layout, encoder=TINY):
    """The same objective before any training."""
    config = OBJECTIVES[layout].Config
    dials = DECODER | {"mask_cell_px": 8}
    decoder = {name: value for name, value in dials.items() if name in config.model_fields}
    return build(config(**decoder), encoder, seed=9)


def write(objective, layout, folder):
    path = folder / "released.pth"
    torch.save({"model": released_state(objective, layout)}, path)
    return path


def equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in second)


def untouched(objective, before):
    return equal(objective.state_dict(), before)


@pytest.mark.parametrize("layout", RELEASED)
def test_released_checkpoint_starts_the_whole_objective(layout, tmp_path):
    trained = make_objective(layout)
    fresh = other(layout)
    state = released_state(trained, layout)
    report = initialise_from(fresh, write(trained, layout, tmp_path))
    assert equal(fresh.state_dict(), trained.state_dict())
    assert sorted([*report.matched, *report.dropped]) == sorted(state)
    assert report.total == len(fresh.state_dict())
    assert report.layout == layout
    assert set(report.assumed) == {"heads", "bands", "mean", "std"}


def test_own_checkpoint_starts_the_whole_objective(tmp_path):
    trained, fresh = make_objective("mae"), other("mae")
    torch.save({"objective": trained.state_dict(), "step": 3, "loss": 0.5}, tmp_path / "step.pt")
    report = initialise_from(fresh, tmp_path / "step.pt")
    assert equal(fresh.state_dict(), trained.state_dict())
    assert not report.renamed


def test_checkpoint_that_the_trainer_left_starts_the_next_run(tmp_path, monkeypatch):
    what = PretrainWhat(
        encoder=TINY,
        objective=OBJECTIVES["mae"].Config(**DECODER),
        steps=1,
        images_per_step=2,
        precision="fp32",
    )
    recipe = PretrainRecipe(
        name="t", corpus="-", out=str(tmp_path), what=what, how=PretrainHow(device="cpu")
    )
    monkeypatch.setattr(Corpus, "open", lambda _: FakeCorpus())
    pretrain(recipe)
    (path,) = (tmp_path / "checkpoint").glob("step-*.pt")
    fresh = other("mae")
    assert initialise_from(fresh, path).is_exact
    assert equal(fresh.encoder.state_dict(), Encoder.load(tmp_path).state_dict())
    assert equal(fresh.state_dict(), torch.load(path)["objective"])


@pytest.mark.parametrize("layout", OBJECTIVES)
def test_encoder_only_starts_the_encoder_of_any_objective(layout, tmp_path):
    trained, fresh = make_objective("mae"), other(layout)
    before = {n: t.clone() for n, t in fresh.state_dict().items() if not n.startswith("encoder.")}
    report = initialise_from(fresh, write(trained, "mae", tmp_path), encoder_only=True)
    assert equal(fresh.encoder.state_dict(), trained.encoder.state_dict())
    assert untouched(fresh, before)
    assert set(report.filled) == set(before)
    assert "decoder_pred.bias" in report.dropped


def test_run_folder_starts_the_encoder_and_must_agree_with_the_recipe(tmp_path):
    trained, fresh = make_objective("mae"), other("mae")
    trained.encoder.save(tmp_path)
    with pytest.raises(WeightsError, match=r"missing: .*decoder\.positions.*encoder_only"):
        initialise_from(fresh, tmp_path)
    report = initialise_from(fresh, tmp_path, encoder_only=True)
    assert equal(fresh.encoder.state_dict(), trained.encoder.state_dict())
    assert not report.assumed
    for wrong in ({"heads": 2}, {"mean": (0.5,) * 3}, {"bands": ("blue", "green", "red")}):
        (name,) = wrong
        fresh = other("mae", TINY.model_copy(update=wrong))
        with pytest.raises(WeightsError, match=rf"{name}: .* in its card"):
            initialise_from(fresh, tmp_path, encoder_only=True)


def test_decoder_of_another_shape_or_method_is_refused_and_nothing_is_loaded(tmp_path):
    path = write(make_objective("selective_mae"), "selective_mae", tmp_path)
    fresh = other("mae")
    before = {name: tensor.clone() for name, tensor in fresh.state_dict().items()}
    with pytest.raises(WeightsError, match=r"unexpected: .*cross_attn.*encoder_only"):
        initialise_from(fresh, path)
    assert untouched(fresh, before)
    fresh = other("mae", TINY.model_copy(update={"width": 48}))
    with pytest.raises(WeightsError, match=r"wrong shape: .*rspipe weights show"):
        initialise_from(fresh, path, encoder_only=True)


@pytest.mark.parametrize("img_px", [48, (16, 64)])
def test_other_grid_is_refused_or_interpolated_when_that_is_asked(img_px, tmp_path):
    trained = make_objective("mae")
    path = write(trained, "mae", tmp_path)
    config = TINY.model_copy(update={"img_px": img_px})
    fresh = other("mae", config)
    with pytest.raises(WeightsError, match=r"positions of a \(4, 4\) grid"):
        initialise_from(fresh, path)
    own = fresh.decoder.positions.clone()
    report = initialise_from(fresh, path, resize=True)
    want = resize_positions(trained.encoder.vit.pos_embed.detach(), (4, 4), config.grid)
    assert torch.equal(fresh.encoder.vit.pos_embed, want)
    assert torch.equal(fresh.decoder.positions, own)
    assert list(report.changed) == ["pos_embed"]
    assert "decoder_pos_embed" in report.dropped
    assert equal(fresh.decoder.blocks.state_dict(), trained.decoder.blocks.state_dict())


def test_half_precision_is_widened_and_said(tmp_path):
    trained, fresh = make_objective("mae"), other("mae")
    state = {k: v.bfloat16() for k, v in released_state(trained, "mae").items()}
    torch.save(state, tmp_path / "half.pth")
    report = initialise_from(fresh, tmp_path / "half.pth")
    assert set(report.changed) == set(state)
    assert all(tensor.dtype == torch.float32 for tensor in fresh.state_dict().values())


def test_classifier_of_a_timm_file_is_left_out(tmp_path):
    trained = make_objective("mae")
    state = trained.encoder.vit.state_dict() | {"head.weight": torch.ones(5, 24)}
    torch.save(state, tmp_path / "timm.pth")
    report = initialise_from(other("mae"), tmp_path / "timm.pth", encoder_only=True)
    assert report.dropped == {"head.weight": "of a classifier"}
