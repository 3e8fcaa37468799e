# SPDX-License-Identifier: Apache-2.0
"""What a release promises: version, citation, changelog, format note."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import rspipe
from rspipe.corpus.format import MANIFEST
from rspipe.corpus.reader import Corpus
from rspipe.errors import CorpusError
from rspipe.io.tables import write_json
from rspipe.schema import SCHEMA_VERSION


def test_citation_is_a_valid_cff_of_this_version():
    # The keys that version 1.2.0 of the format asks for, and the types of those that we use.
    cited = yaml.safe_load(Path("CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert cited["cff-version"] == "1.2.0"
    assert cited["type"] == "software"
    assert all("name" in a or "family-names" in a for a in cited["authors"])
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    assert cited["license"] == project["license"]
    assert cited["version"] == rspipe.__version__


def test_changelog_keeps_its_form():
    text = Path("CHANGELOG.md").read_text()
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert sections[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", s) for s in sections[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds


def test_format_note_covers_every_version_and_says_how_to_migrate():
    note = Path("docs/corpus-format.md").read_text()
    assert note.startswith(f"# The corpus format, version {SCHEMA_VERSION}\n")
    rows = re.findall(r"^\| (\d+) \| (.+?) \| (.*?) ?\|$", note, re.MULTILINE)
    assert [int(version) for version, *_ in rows] == list(range(SCHEMA_VERSION, 0, -1))
    assert all(changed and (migrate or version == "1") for version, changed, migrate in rows)


@pytest.mark.parametrize(
    ("version", "said"),
    [(SCHEMA_VERSION - 1, "run `rspipe curate`"), (SCHEMA_VERSION + 1, "install a newer rspipe")],
)
def test_a_corpus_of_another_version_is_refused_with_the_next_move(tmp_path, version, said):
    manifest = {"schema_version": version, "rspipe_version": "9.9"}
    write_json(manifest, tmp_path / MANIFEST)
    with pytest.raises(CorpusError, match=said) as refused:
        Corpus.open(tmp_path)
    assert f"format {version} (written by rspipe 9.9)" in str(refused.value)


def test_import_rspipe_offers_its_names_and_imports_torch_only_for_the_encoder():
    code = (
        "import sys, rspipe; rspipe.Corpus, rspipe.RspipeError; a = 'torch' in sys.modules;"
        "rspipe.Encoder; print(a, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
    assert all(hasattr(rspipe, name) for name in rspipe.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Corpse'"):
        _ = rspipe.Corpse
