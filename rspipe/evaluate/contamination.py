# SPDX-License-Identifier: Apache-2.0
"""Which test images an encoder may have seen in pre-training, from what curation wrote down.

A source is an audit (the folder that `rspipe audit CORPUS --against BENCHMARK` leaves) or a
corpus (whose ledger lists every benchmark picture that was found and what became of it). Where no
source looked at a benchmark, nothing is claimed: unknown is not zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import dataset

from rspipe.corpus.format import HITS, MANIFEST, ledger_paths
from rspipe.corpus.pairs import FILES, PAIRS
from rspipe.errors import RecipeError
from rspipe.evaluate.config import EvalRecipe
from rspipe.io.tables import read_json

KINDS = ("bytes", "pixels", "near", "footprint")
"""How a test image can stand in a corpus, the surest first."""


@dataclass(frozen=True)
class Exposure:
    """What is known of some test images."""

    audited: frozenset[str] = frozenset()
    """Paths that were compared with the corpus."""
    leaked: Mapping[str, str] = field(default_factory=dict)
    """Paths that the corpus holds, and the surest kind of match."""
    removed: int = 0
    """Matches that the corpus had and curation took out."""
    sources: tuple[str, ...] = ()

    def with_other(self, other: "Exposure") -> "Exposure":
        """Join what two sources know."""
        leaked = dict(self.leaked)
        for path, kind in other.leaked.items():
            leaked[path] = min(kind, leaked.get(path, kind), key=KINDS.index)
        return Exposure(
            self.audited | other.audited,
            leaked,
            self.removed + other.removed,
            self.sources + other.sources,
        )

    def to_json(self) -> dict[str, object]:
        """Lay it out for fingerprints and results."""
        return {
            "sources": list(self.sources),
            "n_audited": len(self.audited),
            "n_removed_from_corpus": self.removed,
            "leaked": dict(sorted(self.leaked.items())),
        }


class Contamination:
    """The sources of a recipe, read once.

    Args:
        sources: folders of audits and corpora.

    Raises:
        RecipeError: a folder is neither.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        self._sources = [_open(Path(source)) for source in sources]

    def of(self, benchmark: str, paths: Sequence[str]) -> Exposure | None:
        """Look up the test images of one benchmark; None where no source compared any.

        Args:
            benchmark: name of the data set.
            paths: of its test images, in the data set's folder.
        """
        found = Exposure()
        for source in self._sources:
            found = found.with_other(source.of(benchmark, paths))
        return found if found.audited else None


@dataclass(frozen=True)
class _Audit:
    """Pairs that `rspipe audit` found; its paths begin with the benchmark as it was named."""

    folder: Path

    def of(self, benchmark: str, paths: Sequence[str]) -> Exposure:
        # Arrow all along: the corpus may have millions of files, the benchmark has thousands.
        files = pq.read_table(self.folder / FILES, columns=["path", "drop_reason"])
        was_compared = pc.or_kleene(
            pc.is_null(files["drop_reason"]), pc.equal(files["drop_reason"], "bytes_only")
        )
        compared = files.filter(was_compared)["path"]
        prefix = _prefix(compared, paths)
        if prefix is None:
            return Exposure()
        pairs = pq.read_table(
            self.folder / PAIRS,
            columns=["path_b", "kind"],
            filters=pc.equal(pc.field("verdict"), "duplicate"),
        )
        kinds = _surest(pairs["path_b"], pairs["kind"])
        known = set(compared.filter(pc.starts_with(compared, prefix)).to_pylist())
        return Exposure(
            audited=frozenset(path for path in paths if prefix + path in known),
            leaked={path: kinds[prefix + path] for path in paths if prefix + path in kinds},
            sources=(str(self.folder),),
        )


@dataclass(frozen=True)
class _Curated:
    """A corpus of ours: its ledger says what was compared, found and dropped."""

    folder: Path

    def of(self, benchmark: str, paths: Sequence[str]) -> Exposure:
        ledger = dataset.dataset([str(path) for path in ledger_paths(self.folder)])
        field = pc.field
        held_out = ledger.to_table(
            columns=["source_path"],
            filter=(field("level") == "file")
            & (field("dataset") == benchmark)
            & (field("drop_reason") == "benchmark_split"),
        )
        audited = frozenset(paths) & set(held_out["source_path"].to_pylist())
        hits = pq.read_table(self.folder / HITS, filters=field("benchmark") == benchmark)
        packed = ledger.to_table(
            columns=["tile_id"],
            filter=(field("level") == "tile")
            & field("drop_reason").is_null()
            & field("tile_id").isin(hits["tile_id"].combine_chunks()),
        )
        is_packed = pc.is_in(hits["tile_id"], value_set=packed["tile_id"].combine_chunks())
        kinds = _surest(*(hits.filter(is_packed)[name] for name in ("benchmark_path", "kind")))
        return Exposure(
            audited=audited,
            leaked={path: kinds[path] for path in audited if path in kinds},
            removed=pc.sum(pc.invert(is_packed)).as_py() or 0,
            sources=(str(self.folder),) if audited else (),
        )


def corpus_of_run(run: Path) -> str | None:
    """Find the corpus that a run was trained on, if it is still there and still the same."""
    manifest = run / "manifest.json"
    if not manifest.is_file():
        return None
    said = read_json(manifest)
    corpus = (said.get("recipe") or {}).get("corpus")
    if corpus is None or not (Path(corpus) / MANIFEST).is_file():
        return None
    now = read_json(Path(corpus) / MANIFEST).get("fingerprint")
    return str(corpus) if now == said.get("corpus_fingerprint") else None


def contamination_sources(recipe: EvalRecipe) -> tuple[str, ...]:
    """Name the audits and corpora that tell which test images the encoder may have seen."""
    if recipe.contamination == "none":
        return ()
    if recipe.contamination == "auto":
        corpus = corpus_of_run(Path(recipe.encoder))
        return (corpus,) if corpus is not None else ()
    return tuple(recipe.contamination)


def _open(folder: Path) -> _Audit | _Curated:
    if (folder / PAIRS).is_file() and (folder / FILES).is_file():
        return _Audit(folder)
    if (folder / MANIFEST).is_file() and (folder / HITS).is_file():
        return _Curated(folder)
    raise RecipeError(
        f"contamination={folder}: neither an audit nor a corpus; make one with "
        "`rspipe audit CORPUS --against BENCHMARK --out FOLDER`"
    )


def _prefix(compared: pa.ChunkedArray, paths: Sequence[str]) -> str | None:
    """Find what stands before the benchmark's paths in an audit: the name it was given there."""
    for path in paths:
        found = compared.filter(pc.ends_with(compared, f"/{path}")).to_pylist()
        heads = sorted({one.removesuffix(path) for one in found})
        if heads:
            # Other data sets may share a file name: the benchmark is the one that has most of them.
            wanted = (pa.array([head + one for one in paths]) for head in heads)
            shared = [pc.sum(pc.is_in(names, value_set=compared)).as_py() for names in wanted]
            return str(heads[shared.index(max(shared))])
    return None


def _surest(paths: pa.ChunkedArray, kinds: pa.ChunkedArray) -> dict[str, str]:
    found: dict[str, str] = {}
    for path, kind in zip(paths.to_pylist(), kinds.to_pylist(), strict=True):
        found[path] = min(kind, found.get(path, kind), key=KINDS.index)
    return found
