"""Hashes behind the encoders of the table."""

from rspipe.io.tables import write_json
from rspipe.report.provenance import judged_of


def test_a_run_names_its_corpus_only_while_it_holds_the_judged_weights(tmp_path):
    said = {"encoder_sha256": "e1", "corpus_fingerprint": "c0ffee"}
    write_json(said, tmp_path / "run/manifest.json")
    recipe = {"encoder": str(tmp_path / "run"), "beside": {"other": str(tmp_path / "run")}}
    rows = [
        {"encoder": "pretrained", "encoder_sha256": "e1"},
        {"encoder": "other", "encoder_sha256": "e2"},
        {"encoder": "random", "encoder_sha256": "r"},
    ]
    pretrained, other, random = judged_of(recipe, rows)
    assert (pretrained.sha256, pretrained.corpus) == (("e1",), "c0ffee")
    assert other.corpus is None
    assert (random.place, random.corpus) == (None, None)


def test_old_results_without_hashes_still_name_their_encoders():
    (judged,) = judged_of({}, [{"encoder": "pretrained"}])
    assert (judged.name, judged.sha256, judged.corpus) == ("pretrained", (), None)
