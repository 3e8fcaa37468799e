# SPDX-License-Identifier: Apache-2.0
"""Croissant metadata (MLCommons, version 1.0) of a corpus: every column, every shard's checksum.

Written by hand as JSON-LD, so that exporting needs no further package; the tests validate it with
`mlcroissant`.
"""

from typing import Any

import pyarrow as pa

from rspipe.corpus.card import summarise_sources
from rspipe.corpus.format import DATA, corpus_schema, shard_paths
from rspipe.corpus.reader import Corpus

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(corpus: Corpus) -> dict[str, Any]:
    """Describe a corpus in Croissant JSON-LD; equal corpora, equal text.

    `url` and `datePublished` are the publisher's to add: nothing here knows them.
    """
    manifest = corpus.manifest
    sources = summarise_sources(corpus.path)
    licences = sorted({s["licence"] or "not stated" for s in sources})
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": manifest["name"],
        "description": (
            f"{len(corpus):,} remote-sensing tiles curated by rspipe; each row carries its own "
            "origin, licence and attribution."
        ),
        "license": licences or ["not stated"],
        "version": f"1.0.0+{corpus.fingerprint}",
        "citeAs": "; ".join(s["attribution"] for s in sources if s["attribution"]) or "not stated",
        "distribution": _distribution(corpus),
        "recordSet": [_records()],
    }


def _distribution(corpus: Corpus) -> list[dict[str, Any]]:
    shards = [
        {
            "@type": "cr:FileObject",
            "@id": path.name,
            "name": path.name,
            "contentUrl": f"{DATA}/{path.name}",
            "contentSize": f"{path.stat().st_size} B",
            "encodingFormat": "application/x-parquet",
            "sha256": corpus.manifest["files"][f"{DATA}/{path.name}"],
        }
        for path in shard_paths(corpus.path)
    ]
    whole = {
        "@type": "cr:FileSet",
        "@id": "shards",
        "name": "shards",
        "encodingFormat": "application/x-parquet",
        "includes": f"{DATA}/*.parquet",
    }
    return [*shards, whole]


def _records() -> dict[str, Any]:
    fields = [_field(field) for field in corpus_schema()]
    return {
        "@type": "cr:RecordSet",
        "@id": "tiles",
        "name": "tiles",
        "description": "One record per tile.",
        "key": {"@id": "tiles/tile_id"},
        "field": fields,
    }


def _field(field: pa.Field) -> dict[str, Any]:
    described: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"tiles/{field.name}",
        "name": field.name,
        "description": f"Column {field.name}; see docs/corpus-format.md.",
        "dataType": _data_type(field),
        "source": {"fileSet": {"@id": "shards"}, "extract": {"column": field.name}},
    }
    if field.name in {"image", "mask"}:
        described["source"]["transform"] = {"jsonPath": "bytes"}
    if pa.types.is_list(field.type):
        described["repeated"] = True
    return described


def _data_type(field: pa.Field) -> str:
    if field.name in {"image", "mask"}:
        return "sc:ImageObject"
    kind = field.type
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"
