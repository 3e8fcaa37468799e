# SPDX-License-Identifier: Apache-2.0
"""Hashes behind the encoders of the table."""

from rspipe.report.provenance import judged_of


def test_each_encoder_is_traced_to_its_weights_and_corpus():
    recipe = {"encoder": "runs/a", "beside": {"other": "runs/b"}}
    rows = [
        {"encoder": "pretrained", "encoder_sha256": "e1", "corpus_fingerprint": "c0ffee"},
        {"encoder": "other", "encoder_sha256": "e2", "corpus_fingerprint": None},
        {"encoder": "random", "encoder_sha256": "r"},
    ]
    pretrained, other, random = judged_of([recipe], rows)
    assert (pretrained.place, pretrained.label, pretrained.sha256) == ("runs/a", "a", ("e1",))
    assert (pretrained.corpus, other.corpus) == ("c0ffee", None)
    assert (random.place, random.corpus) == (None, None)


def test_old_results_without_hashes_still_name_their_encoders():
    (judged,) = judged_of([{}], [{"encoder": "pretrained"}])
    assert (judged.name, judged.sha256, judged.corpus) == ("pretrained", (), None)
