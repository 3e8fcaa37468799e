"""The curation recipe. `what` decides which tiles the corpus holds; `how` only how fast."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from rspipe.recipe import Strict


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


Location = Annotated[str, BeforeValidator(_as_text)]
"""A folder of this machine, or an fsspec URL (s3://bucket/folder)."""


class ExcludeConfig(Strict):
    """Rules on what an image's header and card say, before any pixel is decoded."""

    min_side_px: int = Field(default=32, ge=1)
    """Images with a shorter side are dropped."""
    allow_grey: bool = True
    """Keep single-band images (panchromatic)."""
    licences_allowed: tuple[str, ...] | None = None
    """SPDX identifiers that may enter; null admits all, also unknown ones."""
    splits_denied: tuple[str, ...] = ()
    """Splits that may not enter, besides the benchmarks' own."""


class StretchConfig(Strict):
    """How rasters that are not 8-bit become 8-bit: one linear stretch per scene."""

    low_percentile: float = Field(default=2.0, ge=0, le=100)
    high_percentile: float = Field(default=98.0, ge=0, le=100)


class SliceConfig(Strict):
    """How large images are cut, and which tiles are worth nothing."""

    tile_px: int = Field(default=256, ge=8)
    stride_px: int = Field(default=256, ge=1)
    larger_than_px: int = Field(default=512, ge=1)
    """Images whose longer side is at most this stay whole, and keep their original bytes."""
    min_box_share: float = Field(default=0.5, gt=0, le=1)
    """An object stays with a tile that holds at least this share of its box."""
    stretch: StretchConfig = StretchConfig()
    max_nodata_fraction: float = Field(default=0.5, ge=0, le=1)
    max_flatness: float = Field(default=0.98, ge=0, le=1)
    """Blank above this share of neighbouring pixels that differ by at most 2 grey levels."""


class DedupConfig(Strict):
    """What counts as the same picture."""

    # A median-thresholded pHash has 32 set bits, so distances are even. On 233 planted real pairs
    # radius 3 lost 4-8 % of the gamma and contrast changes where radius 4 lost none.
    max_hamming_bits: int = Field(default=4, ge=0, le=16)
    orientations: bool = True
    """Also find the 8 flips and quarter turns."""
    min_thumbnail_std: float = Field(default=4.0, ge=0)
    """In grey levels. Tiles whose 32x32 thumbnail varies less have hashes without content."""
    # On real tiles every false pair of smooth ground (30 across unrelated data sets) lay below
    # 0.96; re-encoded, turned, resized and brightened copies lie above 0.99.
    min_similarity: float = Field(default=0.96, ge=-1, le=1)
    """Least correlation of two thumbnails, in the matching orientation, that verifies a pair."""


class LeakageConfig(Strict):
    """What counts as a benchmark's picture, where it differs from what counts as a duplicate."""

    min_similarity: float = Field(default=0.9, ge=-1, le=1)
    """Laxer than for duplicates: a tile lost for nothing costs less than one that leaks."""


class PackConfig(Strict):
    """How the corpus is written."""

    shard_bytes: int = Field(default=400_000_000, ge=1)
    row_group_bytes: int = Field(default=64_000_000, ge=1)


class CurateWhat(Strict):
    """Everything that changes the corpus."""

    datasets: Literal["auto"] | tuple[str, ...] = "auto"
    """Folders below `data`; auto takes all of them."""
    exclude: ExcludeConfig = ExcludeConfig()
    slice: SliceConfig = SliceConfig()
    dedup: DedupConfig = DedupConfig()
    leakage: LeakageConfig = LeakageConfig()
    pack: PackConfig = PackConfig()


class CurateHow(Strict):
    """Everything that changes only speed."""

    workers: int = Field(default=0, ge=0)
    """Dask workers, one thread each; 0 means one per core."""
    scheduler: str | None = None
    """Address of a running Dask scheduler (tcp://…); null starts a local cluster."""
    dashboard: bool = True
    files_per_partition: int = Field(default=256, ge=1)


class CurateRecipe(Strict):
    """`make curate`: from a folder of native data sets to a corpus."""

    name: str
    data: Location
    """A folder or an fsspec URL; every folder or archive in it is one dataset, as published."""
    out: Path | None = None
    """The corpus folder; null: data/corpus/<name>."""
    stages: Path | None = None
    """Where stages leave their tables; null: data/stages."""
    what: CurateWhat = CurateWhat()
    how: CurateHow = CurateHow()

    @property
    def corpus_folder(self) -> Path:
        """Where the corpus goes."""
        return self.out or Path("data/corpus") / self.name

    @property
    def stages_folder(self) -> Path:
        """Where the stages' tables go."""
        return self.stages or Path("data/stages")

    @property
    def cache_folder(self) -> Path:
        """Where what has to be unpacked or converted before it can be read goes."""
        return self.stages_folder / "cache"
