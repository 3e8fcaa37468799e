# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from rspipe.catalog import card_for
from rspipe.evaluate.benchmarks import list_benchmark
from rspipe.evaluate.config import What
from rspipe.evaluate.encoders import ImageStatistics, Judged, NoEncoder
from rspipe.evaluate.frozen import token_extraction
from rspipe.evaluate.frozen.token_extraction import TokenCache, extract_tokens
from rspipe.io.images import decode
from tests.evaluate.native_sets import write_scenes

CPU = torch.device("cpu")


@pytest.fixture
def hues(tmp_path):
    write_scenes(tmp_path / "hues")
    return tmp_path / "hues"


@pytest.fixture
def judged(tiny_encoder):
    floor = Judged(ImageStatistics(), ImageStatistics.sha256)
    return {"a": Judged(tiny_encoder, "0a"), "statistics": floor}


def cache_of(folder, batch=5, dtype="float32"):
    return TokenCache(folder / "features", dtype, batch, CPU)


def extracted(folder, judged, **said):
    benchmark = list_benchmark(folder, card_for(folder), What())
    return extract_tokens(benchmark, judged, frozenset({"a"}), cache_of(folder.parent, **said))


def pixels(folder, found):
    paths = [record.source_path for record in found.benchmark.records]
    return np.stack([decode((folder / path).read_bytes(), path) for path in paths])


def test_features_are_the_encoders(hues, judged, tiny_encoder):
    found = extracted(hues, judged)
    features = found.features["a"].images
    every = np.arange(48)
    images = tiny_encoder.preprocess(pixels(hues, found))
    with torch.inference_mode():
        for norm in ("pre", "post"):
            want = tiny_encoder.tokens(images, final_norm=norm == "post")
            read = features.tokens(every, norm, True, CPU)
            torch.testing.assert_close(read, want, rtol=0, atol=1e-5)
            for pooling, pooled in (("cls", want[:, 0]), ("mean", want[:, 1:].mean(1))):
                vectors = features.vectors(every, pooling, norm)
                np.testing.assert_allclose(vectors, pooled, atol=1e-5)


@pytest.mark.parametrize("said", [{"batch": 48}, {"batch": 1}])
def test_features_do_not_depend_on_the_batch(hues, judged, tmp_path, said):
    first = extracted(hues, judged).features["a"].images
    first = np.array(first.pooled), np.array(first.stored)
    for file in (tmp_path / "features").rglob("meta.json"):
        file.unlink()
    other = extracted(hues, judged, **said).features["a"].images
    np.testing.assert_allclose(other.pooled, first[0], atol=1e-5)
    np.testing.assert_allclose(other.stored, first[1], atol=1e-5)


def test_images_are_encoded_once(hues, judged, monkeypatch):
    first = extracted(hues, judged)
    monkeypatch.setattr(token_extraction, "decode", None)
    again = extracted(hues, judged)
    assert again.benchmark.records == first.benchmark.records
    for label in judged:
        a, b = (x.features[label].images.pooled for x in (first, again))
        np.testing.assert_array_equal(a, b)


def test_other_weights_or_dtype_are_other_files(hues, judged, tiny_encoder):
    benchmark = list_benchmark(hues, card_for(hues), What())
    paths = {
        cache_of(hues, dtype=dtype).folder(benchmark, Judged(tiny_encoder, sha256)).path
        for dtype in ("float16", "float32")
        for sha256 in ("0a", "0b")
    }
    assert len(paths) == 4


def test_half_precision_is_near(hues, judged):
    full = np.array(extracted(hues, judged).features["a"].images.stored)
    half = extracted(hues, judged, dtype="float16").features["a"].images
    assert half.stored.dtype == np.float16
    np.testing.assert_allclose(half.stored, full, rtol=1e-3, atol=1e-3)


def test_unreadable_image_is_named_and_left_out_wherever_it_stood(hues, judged):
    (hues / "train" / "green" / "green_3.png").write_bytes(b"<html>not found</html>")
    found = extracted(hues, judged)
    assert list(found.unreadable) == ["train/green/green_3.png"]
    assert "HTML page" in found.unreadable["train/green/green_3.png"]
    kept = found.benchmark
    assert len(kept.records) == len(found.features["a"].images.pooled) == 47
    assert {kept.records[i].split for i in kept.folds[0].train} == {"train"}
    assert len(kept.folds[0].train) == 23
    statistics = found.features["statistics"].images.vectors(np.arange(47), "mean", "post")
    described = [ImageStatistics().describe(image) for image in pixels(hues, found)]
    np.testing.assert_array_equal(statistics, described)


def test_statistics_are_moments_and_histograms_of_each_band():
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    image[:2, :, 0], image[..., 2] = 255, 128
    found = ImageStatistics().describe(image)
    np.testing.assert_allclose(found[:6], [0.5, 0, 128 / 255, 0.5, 0, 0], atol=1e-6)
    shares = found[6:].reshape(3, 16)
    assert (shares[0, 0], shares[0, 15], shares[1, 0], shares[2, 8]) == (0.5, 0.5, 1, 1)
    assert shares.sum() == 3


def test_only_labels_are_given_by_no_encoder(tiny_encoder):
    assert Judged(NoEncoder(), "").gives == {"labels"}
    assert Judged(ImageStatistics(), "").gives == {"vectors"}
    assert Judged(tiny_encoder, "").gives == {"vectors", "tokens"}
