"""Agreement with the released code, in float32, to 1e-5.

`--oracles DIR` takes every file of another folder for the methods known here; the default is the
copies beside this test.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from rspipe.models.encoder import EncoderConfig
from rspipe.models.released import from_released
from rspipe.models.weights import load_strictly
from rspipe.objectives import MAE, CrossMAE, Plan, SelectiveMAE
from rspipe.objectives.cross_mae import CrossMAEConfig
from rspipe.objectives.hog import hog_cells, hog_target
from rspipe.objectives.mae import MAEConfig
from rspipe.objectives.masking import Mix, count_share, grow_from_seeds, keep_smallest, others
from rspipe.objectives.selective_mae import SelectiveMAEConfig

HERE = Path(__file__).parent / "oracles"


def agree(found, want):
    torch.testing.assert_close(found, torch.as_tensor(want), rtol=0, atol=1e-5)


def oracle_files(request, method):
    folder = request.config.getoption("--oracles", default=None)
    files = sorted(Path(folder or HERE).glob(f"{method}_s*.npz"))
    if not files:
        pytest.skip(f"no {method} file in {folder or HERE}")
    return [np.load(file) for file in files]


def load_objective(oracle, objective_cls, config_cls):
    img, patch, width, depth, heads, dec_width, dec_depth, dec_heads = oracle["config"].tolist()
    encoder = EncoderConfig(img_px=img, patch_px=patch, width=width, depth=depth, heads=heads)
    decoder = {"decoder_width": dec_width, "decoder_depth": dec_depth, "decoder_heads": dec_heads}
    if "weights/wfm.linear.weight" in oracle.files:
        decoder["mix_input"] = oracle["weights/wfm.linear.weight"].shape[1] == depth + 1
    config = config_cls(**decoder)
    objective = objective_cls(config, encoder)
    released = {
        key.removeprefix("weights/"): torch.from_numpy(oracle[key])
        for key in oracle.files
        if key.startswith("weights/")
    }
    state, report = from_released(released, "oracle")
    assert len(report.matched) == len(released)
    # The released CrossMAE has no final norm; ours is fixed and takes no part.
    if objective_cls is CrossMAE:
        norm = {k: v for k, v in objective.state_dict().items() if k.startswith("encoder.vit.norm")}
        state |= norm
    assert load_strictly(objective, state, "oracle").is_exact
    return objective.eval()


@torch.no_grad()
def test_mae_agrees_with_released_code(request):
    for oracle in oracle_files(request, "mae"):
        mae = load_objective(oracle, MAE, MAEConfig)
        images, noise = torch.from_numpy(oracle["images"]), torch.from_numpy(oracle["noise"])
        ids_keep = keep_smallest(noise, mae.kept)
        assert torch.equal(ids_keep, torch.from_numpy(oracle["ids_keep"]))
        agree(mae.encoder.encode_visible(images, ids_keep), oracle["latent"])
        pred = mae.decoder(mae.encoder.encode_visible(images, ids_keep), ids_keep)
        agree(pred, oracle["pred"])
        hidden = others(ids_keep, noise.shape[1])
        mask = torch.zeros_like(noise).scatter(1, hidden, 1.0)
        assert torch.equal(mask, torch.from_numpy(oracle["mask"]))
        agree(mae(images, Plan(ids_keep, hidden)).loss, oracle["loss"])


@torch.no_grad()
def test_cross_mae_agrees_with_released_code(request):
    for oracle in oracle_files(request, "cross_mae"):
        cross = load_objective(oracle, CrossMAE, CrossMAEConfig)
        images = torch.from_numpy(oracle["images"])
        plan = Plan(*(torch.from_numpy(oracle[k]) for k in ("ids_keep", "ids_predict")))
        agree(cross.predict(images, plan), oracle["pred"])
        agree(cross(images, plan).loss, oracle["loss"])


@torch.no_grad()
def test_selective_mae_agrees_with_released_code(request):
    for oracle in oracle_files(request, "selective_mae"):
        selective = load_objective(oracle, SelectiveMAE, SelectiveMAEConfig)
        images = torch.from_numpy(oracle["images"])
        ids_keep, ids_predict = (torch.from_numpy(oracle[k]) for k in ("ids_keep", "ids_predict"))
        latent = selective.encoder.encode_visible(images, ids_keep)
        agree(latent, oracle["latent"])
        agree(selective.decode(latent, ids_predict), oracle["pred"])
        step = selective(images, Plan(ids_keep, ids_predict))
        agree(step.loss_per_image, oracle["loss_per_image"])


def test_token_selection_agrees_with_released_code(request):
    for oracle in oracle_files(request, "selective_mae"):
        tokens, seeds = (
            torch.from_numpy(oracle["tokens"]),
            torch.from_numpy(oracle["psts_seeds"]),
        )
        noise = torch.rand(tokens.shape[:2])
        count = count_share(tokens.shape[1], 0.15)
        nearest = grow_from_seeds(tokens, seeds, count, Mix(1, 0, 0), noise)
        farthest = grow_from_seeds(tokens, seeds, count, Mix(0, 1, 0), noise)
        assert torch.equal(nearest, torch.from_numpy(oracle["psts_nearest"]))
        assert torch.equal(farthest, torch.from_numpy(oracle["psts_farthest"]))


def test_hog_targets_agree_with_released_code(request):
    for oracle in oracle_files(request, "hog_target"):
        image = torch.from_numpy(oracle["image"]).permute(2, 0, 1)[None].float()
        agree(hog_cells(image, 8)[0], oracle["cells"])
        agree(hog_target(image, 16)[0], oracle["target"])
