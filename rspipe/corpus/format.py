# SPDX-License-Identifier: Apache-2.0
"""Where the parts of a corpus lie, and how its shards are laid out. See docs/corpus-format.md."""

import json

import pyarrow as pa

from rspipe.io.places import Place
from rspipe.schema import CORPUS_SCHEMA

SHARD_BYTES = 400_000_000
"""Target size of a shard: large enough to stream, small enough to move."""
ROW_GROUP_ROWS = 256
"""Most rows of a row group: one random read decompresses at most these, and the Hugging Face
viewer, which gives up near 300 MB, shows them."""

MANIFEST = "manifest.json"
CARD = "README.md"
LEDGER = "ledger"
DATA = "data"
PICTURES = "pictures.parquet"
BROWSER = "browser.html"
HITS = "ledger/benchmark_hits.parquet"
EXCLUSIONS = "ledger/exclusion_list.parquet"


def shard_name(index: int, count: int, split: str = "train") -> str:
    """Name a shard as Hugging Face does.

    >>> shard_name(0, 12)
    'train-00000-of-00012.parquet'
    """
    return f"{split}-{index:05d}-of-{count:05d}.parquet"


def shard_paths(corpus: Place) -> list[Place]:
    """List the shards of a corpus in order."""
    return sorted((corpus / DATA).glob("*.parquet"))


def ledger_paths(corpus: Place) -> list[Place]:
    """List the files of a corpus's ledger in order."""
    return sorted((corpus / LEDGER).glob("ledger-*.parquet"))


def corpus_schema() -> pa.Schema:
    """Return the corpus schema with the hint that makes `datasets` decode images and masks.

    Hugging Face `datasets` reads its features from a JSON string under the key `huggingface`.
    """
    features = {field.name: _feature(field.name, field.type) for field in CORPUS_SCHEMA}
    hint = json.dumps({"info": {"features": features}})
    return CORPUS_SCHEMA.with_metadata({"huggingface": hint})


def _feature(name: str, kind: pa.DataType) -> object:
    if name in {"image", "mask"}:
        return {"_type": "Image"}
    if pa.types.is_list(kind):
        return {"feature": _feature("", kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: _feature("", field.type) for field in kind}
    names = {"double": "float64", "float": "float32"}
    return {"dtype": names.get(str(kind), str(kind)), "_type": "Value"}
