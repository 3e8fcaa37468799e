# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from rspipe.errors import RspipeError
from rspipe.evaluate.frozen.tokens import FrozenTokens, TokenFolder, TokenWriter

CPU = torch.device("cpu")
ENCODED = ("pre/cls", "pre/mean", "post/cls", "post/mean")


def written(folder, batches, with_tokens=True, dtype="float32", most=10):
    writer = TokenWriter(TokenFolder(folder), most, dtype)
    rng = np.random.default_rng(0)
    pooled, tokens = rng.normal(size=(6, 4, 3)), rng.normal(size=(6, 5, 3))
    for part in batches:
        writer.add(pooled[part], tokens[part] if with_tokens else None)
    meta = {"positions": list(range(6)), "kinds": list(ENCODED), "grid": [2, 2]}
    return writer.finish(meta), pooled, tokens


def test_what_was_written_is_read_whatever_the_batches(tmp_path):
    norm = torch.nn.LayerNorm(3)
    for name, batches in (("a", [slice(0, 6)]), ("b", [slice(0, 4), slice(4, 6)])):
        meta, pooled, tokens = written(tmp_path / name, batches)
        found = TokenFolder(tmp_path / name).open(meta, norm)
        assert found.grid == (2, 2)
        np.testing.assert_array_equal(found.pooled, pooled.astype(np.float32))
        read = found.tokens(np.array([5, 0]), "pre", True, CPU)
        np.testing.assert_array_equal(read.numpy(), tokens[[5, 0]].astype(np.float32))


def test_vectors_are_pooled_and_normed_as_named():
    pooled = np.arange(12, dtype=np.float32).reshape(1, 4, 3)
    features = FrozenTokens(pooled, ENCODED)
    images = np.array([0])
    assert features.vectors(images, "cls", "pre").tolist() == [[0, 1, 2]]
    assert features.vectors(images, "mean", "pre").tolist() == [[3, 4, 5]]
    assert features.vectors(images, "cls", "post").tolist() == [[6, 7, 8]]
    assert features.vectors(images, "both", "post").tolist() == [[6, 7, 8, 9, 10, 11]]


def test_vectors_of_what_is_no_encoder_know_no_pooling():
    features = FrozenTokens(np.ones((2, 1, 3), dtype=np.float32), ("whole",))
    assert features.vectors(np.array([1]), "both", "pre").tolist() == [[1, 1, 1]]


def test_norm_is_applied_when_tokens_are_read():
    norm = torch.nn.LayerNorm(3)
    torch.nn.init.normal_(norm.weight)
    stored = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float16)
    features = FrozenTokens(np.empty((2, 4, 3)), ENCODED, (2, 2), stored, norm)
    want = norm(torch.from_numpy(stored).float()[:, 1:]).detach()
    torch.testing.assert_close(features.tokens(np.arange(2), "post", False, CPU), want)


def test_folder_without_its_last_file_is_not_taken_for_whole(tmp_path):
    meta, _, _ = written(tmp_path / "a", [slice(0, 6)])
    folder = TokenFolder(tmp_path / "a")
    assert folder.meta(with_tokens=True) == meta
    TokenWriter(folder, 10, "float32")
    assert folder.meta(with_tokens=True) is None


def test_vectors_alone_do_not_serve_a_probe_of_tokens(tmp_path):
    written(tmp_path / "a", [slice(0, 6)], with_tokens=False)
    assert TokenFolder(tmp_path / "a").meta(with_tokens=False) is not None
    assert TokenFolder(tmp_path / "a").meta(with_tokens=True) is None


def test_token_too_large_for_float16_is_refused_by_name(tmp_path):
    writer = TokenWriter(TokenFolder(tmp_path), 2, "float16")
    with pytest.raises(RspipeError, match=r"not finite in float16 \(largest 1e\+05\).*float32"):
        writer.add(np.zeros((1, 4, 3)), np.full((1, 5, 3), 1e5))
