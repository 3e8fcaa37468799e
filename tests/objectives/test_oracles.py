# SPDX-License-Identifier: Apache-2.0
"""Agreement with the released code, in float32, to 1e-5.

`--oracles DIR` takes every file of another folder for the methods known here, whatever its
dimensions; the default is the copies beside this test. Files of other methods are not read.
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
from rspipe.objectives.masking import Mix, grow_from_seeds, keep_smallest, others
from rspipe.objectives.selective_mae import SelectiveMAEConfig

HERE = Path(__file__).parent / "oracles"
METHODS = ("mae", "cross_mae", "selective_mae", "hog_target")


def find_oracles(folder):
    """Files of a folder by method; to find none is an error, not a reason to skip."""
    found = {method: sorted(folder.glob(f"{method}_*.npz")) for method in METHODS}
    if not any(found.values()):
        raise pytest.UsageError(
            f"{folder}: holds no file of {', '.join(METHODS)}; want names like mae_s1.npz"
        )
    return found


def pytest_generate_tests(metafunc):
    """One case per file: a test asks for `mae_file` and gets one path after the other."""
    folder = Path(metafunc.config.getoption("--oracles", default=None) or HERE)
    for method in METHODS:
        if f"{method}_file" in metafunc.fixturenames:
            files = find_oracles(folder)[method]
            metafunc.parametrize(f"{method}_file", files, ids=[file.stem for file in files])


def read(path):
    with np.load(path) as file:
        return {name: torch.as_tensor(file[name]) for name in file.files}


def agree(found, want):
    torch.testing.assert_close(found, want, rtol=0, atol=1e-5)


def load_objective(oracle, objective_cls, config_cls):
    _, patch, width, depth, heads, dec_width, dec_depth, dec_heads = oracle["config"].tolist()
    _, bands, height, across = oracle["images"].shape
    encoder = EncoderConfig(
        img_px=(height, across),
        patch_px=patch,
        width=width,
        depth=depth,
        heads=heads,
        in_chans=bands,
        bands=tuple(f"band{i}" for i in range(bands)),
        mean=(0.5,) * bands,  # images come normalised
        std=(0.2,) * bands,
    )
    dials = {"decoder_width": dec_width, "decoder_depth": dec_depth, "decoder_heads": dec_heads}
    dials["mask_ratio"] = 1 - oracle["ids_keep"].shape[1] / encoder.patches
    if "ids_predict" in oracle:
        dials["predict_ratio"] = oracle["ids_predict"].shape[1] / encoder.patches
    if objective_cls is CrossMAE:
        dials["mix_input"] = oracle["weights/wfm.linear.weight"].shape[1] == depth + 1
    objective = objective_cls(config_cls(**dials), encoder)
    released = {k.removeprefix("weights/"): v for k, v in oracle.items() if "weights/" in k}
    state, report = from_released(released, "oracle")
    assert len(report.matched) == len(released)
    # The released CrossMAE has no final norm; ours is fixed and takes no part.
    if objective_cls is CrossMAE:
        norm = {k: v for k, v in objective.state_dict().items() if k.startswith("encoder.vit.norm")}
        state |= norm
    assert load_strictly(objective, state, "oracle").is_exact
    return objective.eval()


def test_folder_without_oracles_is_an_error(tmp_path):
    (tmp_path / "efficient_probing_s1.npz").touch()
    with pytest.raises(pytest.UsageError, match="holds no file of mae"):
        find_oracles(tmp_path)


@torch.no_grad()
def test_mae_agrees_with_released_code(mae_file):
    oracle = read(mae_file)
    images, noise, ids_keep = oracle["images"], oracle["noise"], oracle["ids_keep"]
    ours = load_objective(oracle, MAE, MAEConfig)
    assert ours.kept == ids_keep.shape[1]
    assert torch.equal(keep_smallest(noise, ours.kept), ids_keep)
    latent = ours.encoder.encode_visible(images, ids_keep)
    agree(latent, oracle["latent"])
    agree(ours.decoder(latent, ids_keep), oracle["pred"])
    hidden = others(ids_keep, noise.shape[1])
    assert torch.equal(torch.zeros_like(noise).scatter(1, hidden, 1.0), oracle["mask"])
    agree(ours(images, Plan(ids_keep, hidden)).loss, oracle["loss"])


@torch.no_grad()
def test_cross_mae_agrees_with_released_code(cross_mae_file):
    oracle = read(cross_mae_file)
    ours = load_objective(oracle, CrossMAE, CrossMAEConfig)
    images = oracle["images"]
    plan = Plan(oracle["ids_keep"], oracle["ids_predict"])
    agree(ours.predict(images, plan), oracle["pred"])
    agree(ours(images, plan).loss, oracle["loss"])


@torch.no_grad()
def test_selective_mae_agrees_with_released_code(selective_mae_file):
    oracle = read(selective_mae_file)
    ours = load_objective(oracle, SelectiveMAE, SelectiveMAEConfig)
    images = oracle["images"]
    plan = Plan(oracle["ids_keep"], oracle["ids_predict"])
    latent = ours.encoder.encode_visible(images, plan.ids_keep)
    agree(latent, oracle["latent"])
    agree(ours.decode(latent, plan.ids_predict), oracle["pred"])
    agree(ours(images, plan).loss_per_image, oracle["loss_per_image"])


def test_token_selection_agrees_with_released_code(selective_mae_file):
    oracle = read(selective_mae_file)
    tokens, seeds = oracle["tokens"], oracle["psts_seeds"]
    noise = torch.rand(tokens.shape[:2])
    for name, mix in {"nearest": Mix(1, 0, 0), "farthest": Mix(0, 1, 0)}.items():
        want = oracle[f"psts_{name}"]
        assert torch.equal(grow_from_seeds(tokens, seeds, want.shape[1], mix, noise), want)


def test_hog_target_agrees_with_released_code(hog_target_file):
    oracle = read(hog_target_file)
    image = oracle["image"].permute(2, 0, 1)[None].float()
    agree(hog_cells(image, 8)[0], oracle["cells"])
    agree(hog_target(image, 16)[0], oracle["target"])
