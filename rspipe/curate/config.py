# SPDX-License-Identifier: Apache-2.0
"""The curation recipe. `what` decides which tiles the corpus holds; `how` only how fast."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from rspipe.io.places import Place, place
from rspipe.io.storage import LOCAL_CACHE
from rspipe.recipe import Strict


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


Location = Annotated[str, BeforeValidator(_as_text)]
"""A folder of this machine, or an fsspec URL (s3://bucket/folder)."""


UnknownRule = Literal["keep", "drop"]
"""What becomes of an image of which a dataset does not say what a rule asks for."""


class ExcludeConfig(Strict):
    """Rules on what an image's header and card say, before any pixel is decoded.

    A rule that is null, empty or false asks for nothing.
    """

    display_bands: dict[str, tuple[str, ...] | tuple[int, ...]] = Field(default_factory=dict)
    """Per dataset, the bands to show as red, green and blue (or one as grey): names that its card
    gives its bands, or numbers from 1. Default: the visible ones, by card or colour marks."""
    allow_grey: bool = True
    """Keep single-band images (panchromatic)."""
    dtypes_allowed: tuple[str, ...] | None = None
    """NumPy names (uint8, uint16, float32 …); null admits all."""
    min_side_px: int = Field(default=32, ge=1)
    """Images with a shorter side are dropped."""
    max_side_px: int | None = Field(default=None, ge=1)
    """Images with a longer side are dropped."""
    # 100,000 x 100,000 px: larger than any published scene, and 150,000 tiles of 256 px. A file of
    # a few bytes can declare far more.
    max_megapixels: float | None = Field(default=10_000.0, gt=0)
    max_aspect_ratio: float | None = Field(default=None, ge=1)
    """Longer side over shorter side."""
    min_gsd_m: float | None = Field(default=None, gt=0)
    max_gsd_m: float | None = Field(default=None, gt=0)
    unknown_gsd: UnknownRule = "keep"
    """Speaks only where one of the two GSD limits is set."""
    max_cloud_cover: float | None = Field(default=None, ge=0, le=1)
    """Largest published share of clouds; see `screen.max_cloud_fraction` for measured ones."""
    unknown_cloud_cover: UnknownRule = "keep"
    licences_allowed: tuple[str, ...] | None = None
    """SPDX identifiers that may enter, * standing for anything (CC-BY-*); null admits all."""
    licences_denied: tuple[str, ...] = ()
    """SPDX identifiers that may not enter, whatever is allowed (*-NC-*)."""
    unknown_licence: UnknownRule = "keep"
    """Images of datasets that state no licence."""
    redistributable_only: bool = False
    """Drop what may not be passed on, and what nobody knows that of."""
    splits_denied: tuple[str, ...] = ()
    """Splits that may not enter, besides the benchmarks' own."""


class StretchRule(Strict):
    """How rasters that are not 8-bit become 8-bit: one linear stretch per scene, for all bands."""

    rule: Literal["percentile", "range", "refuse"] = "percentile"
    """percentile: between two percentiles of the scene's own values; range: between two fixed
    values; refuse: drop them."""
    low_percentile: float = Field(default=2.0, ge=0, le=100)
    high_percentile: float = Field(default=98.0, ge=0, le=100)
    range: tuple[float, float] | None = None
    """Raw values shown as black and white; null: the `display_range` of the dataset's card."""

    @model_validator(mode="after")
    def _rises(self) -> "StretchRule":
        if self.low_percentile >= self.high_percentile:
            raise ValueError("low_percentile must lie below high_percentile")
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError("range must rise")
        return self


class StretchConfig(StretchRule):
    """The stretch of every dataset, and of those that need another."""

    datasets: dict[str, StretchRule] = Field(default_factory=dict)
    """Rules of single datasets, by name."""

    def of(self, dataset: str) -> StretchRule:
        """The rule for one dataset."""
        return self.datasets.get(dataset, self)


class CropsConfig(Strict):
    """Square random crops, drawn from nothing but the image's id and a seed.

    Source: arXiv:2406.11933 crops at random to 64..1024 px; it states neither the distribution of
    sizes, nor their number, nor a limit of overlap, nor a seed. Those are ours.
    """

    min_px: int = Field(default=64, ge=8)
    max_px: int = Field(default=1024, ge=8)
    multiple_px: int = Field(default=32, ge=1)
    """Sides are multiples of this, as far as the image allows."""
    sizes: Literal["uniform", "log_uniform"] = "log_uniform"
    """log_uniform: as many crops of 64-128 px as of 512-1024; uniform: of any size alike."""
    per_megapixel: float = Field(default=4.0, gt=0)
    """Crops per million pixels of the image; at least one."""
    max_crops: int = Field(default=64, ge=1)
    """Most crops of one image."""
    max_iou: float = Field(default=0.3, ge=0, lt=1)
    """Two crops of an image share at most this much: intersection over union."""
    seed: int = 0

    @model_validator(mode="after")
    def _has_sizes(self) -> "CropsConfig":
        if self.max_px // self.multiple_px < -(-self.min_px // self.multiple_px):
            raise ValueError(
                f"no multiple of {self.multiple_px} px lies in {self.min_px}..{self.max_px}"
            )
        return self


class SliceConfig(Strict):
    """How large images are cut, resampled and stretched, and what becomes of cut objects."""

    larger_than_px: int = Field(default=512, ge=1)
    """Images whose longer side is at most this stay whole, and keep their original bytes."""
    mode: Literal["grid", "random_crops", "whole"] = "grid"
    """What happens to larger images; `whole`: they are dropped as `too_large`."""
    tile_px: int = Field(default=256, ge=8)
    stride_px: int = Field(default=256, ge=1)
    crops: CropsConfig = CropsConfig()
    target_gsd_m: float | None = Field(default=None, gt=0)
    """Resample images of a known, finer GSD to this one; pixel sizes above then count after it."""
    gsd_tolerance: float = Field(default=1.1, ge=1)
    """Images whose GSD differs from the target by at most this factor stay as they are."""
    upsample: bool = False
    """Also resample coarser images, which invents pixels."""
    min_box_share: float = Field(default=0.5, gt=0, le=1)
    """An object stays with a tile that holds at least this share of its box."""
    mark_cut: bool = False
    """Keep objects below that share too, as `difficult`."""
    stretch: StretchConfig = StretchConfig()


class ScreenConfig(Strict):
    """Which tiles are worth nothing, by what was measured on their pixels; null: no limit."""

    max_nodata_fraction: float | None = Field(default=0.5, ge=0, le=1)
    max_flatness: float | None = Field(default=0.98, ge=0, le=1)
    """Blank above this share of neighbouring pixels that differ by at most 2 grey levels."""
    max_saturated_fraction: float | None = Field(default=None, ge=0, le=1)
    """Of pixels with every band at 250 or more."""
    max_black_fraction: float | None = Field(default=None, ge=0, le=1)
    """Of pixels with every band at 5 or less: margins that nobody declared as without data."""
    max_cloud_fraction: float | None = Field(default=None, ge=0, le=1)
    """Of pixels that are bright, colourless and smooth: a hint of clouds, and of snow and sand."""
    min_mean_grey: float | None = Field(default=None, ge=0, le=255)
    max_mean_grey: float | None = Field(default=None, ge=0, le=255)
    min_std_grey: float | None = Field(default=None, ge=0, le=255)
    """Too little contrast below this, in grey levels."""
    # Sharpness grows with contrast and falls with resampling: a limit fits one GSD and kind of land
    # cover. Open water is as smooth as a blurred town; look at what a limit drops.
    min_sharpness: float | None = Field(default=None, ge=0)
    """Blurred below this variance of the Laplacian, grey levels squared, at the tile's own GSD."""


KeepRule = Literal["annotated", "redistributable", "larger", "published_file", "finer_gsd"]
"""What may decide which of several copies stays."""


class DedupConfig(Strict):
    """What counts as the same picture, and which copy of it stays."""

    # A median-thresholded pHash has 32 set bits, so distances are even. On 233 planted real pairs
    # radius 3 lost 4-8 % of the gamma and contrast changes where radius 4 lost none.
    max_hamming_bits: int = Field(default=4, ge=0, le=16)
    orientations: bool = True
    """Also find the 8 flips and quarter turns."""
    mirror_frames: bool = True
    """Compare hashes also as mirrors show them: four searches, and a quarter of the misses."""
    min_thumbnail_std: float = Field(default=1.0, ge=0)
    """In grey levels. Tiles whose 32x32 thumbnail varies less have hashes without content."""
    # docs/results/2026-11-25-duplicates.md: of copies by JPEG ≥ 50, resizing or gamma 99.7 % lie
    # above; of 160 million pairs of other places none whose hashes are close.
    min_similarity: float = Field(default=0.985, ge=-1, le=1)
    """Least similarity of two thumbnails (`dedup/verify.py`) that verifies a pair."""
    # A whole scene goes with all its tiles, so its picture must agree as re-encoded ones do.
    min_image_similarity: float = Field(default=0.99, ge=-1, le=1)
    """The same for whole images of which at least one was cut."""
    max_aspect_change: float = Field(default=0.02, ge=0)
    """Whole images whose height : width differ by more than this share are not the same."""
    min_lineage_iou: float | None = Field(default=0.5, gt=0, le=1)
    """Windows of one image are the same from this intersection over union on; null: never. Below
    it they are never duplicates, however alike: a field is no copy of the field beside it."""
    min_footprint_iou: float | None = Field(default=0.8, gt=0, le=1)
    """Tiles of two images taken on the same day are the same from this intersection over union of
    their footprints on; null: never. Without a date on both, never."""
    max_gsd_ratio: float = Field(default=1.1, ge=1)
    """Larger GSD over smaller one up to which footprints are compared."""
    keep: tuple[KeepRule, ...] = (
        "annotated",
        "redistributable",
        "larger",
        "published_file",
        "finer_gsd",
    )
    """Which copy stays, the weightiest rule first; what is equal by all is ranked by name."""


class LeakageConfig(Strict):
    """What counts as a benchmark's picture, where it differs from what counts as a duplicate."""

    min_similarity: float = Field(default=0.95, ge=-1, le=1)
    """Laxer than for duplicates: a tile lost for nothing costs less than one that leaks."""
    min_image_similarity: float = Field(default=0.97, ge=-1, le=1)
    """For whole images that were cut: all their tiles leak with them."""
    # A tile of a scene that a benchmark covers with tiles of the same size has at least a quarter
    # of its area in common with one of them.
    min_footprint_share: float | None = Field(default=0.25, gt=0, le=1)
    """Common ground, on the same day, over the smaller of two footprints; null: not compared."""

    def rules(self, dedup: DedupConfig) -> DedupConfig:
        """The rules of deduplication with those of leakage in their place."""
        return dedup.model_copy(
            update={
                "min_similarity": self.min_similarity,
                "min_image_similarity": self.min_image_similarity,
                "min_footprint_iou": self.min_footprint_share,
            }
        )


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
    screen: ScreenConfig = ScreenConfig()
    dedup: DedupConfig = DedupConfig()
    leakage: LeakageConfig = LeakageConfig()
    pack: PackConfig = PackConfig()


class CurateHow(Strict):
    """Everything that changes only speed."""

    workers: int = Field(default=0, ge=0)
    """Dask workers, one thread each; 0 means one per core."""
    scheduler: str | None = None
    """Address of a running Dask scheduler (tcp://…); null starts a local cluster."""
    memory_limit_gib: float | None = Field(default=None, ge=0.5)
    """Memory of each local worker, resident; one that comes near it is started anew. Null: an equal
    share of the machine's."""
    worker_timeout_s: float = Field(default=300, gt=0)
    """Seconds without any worker after which a stage gives up. On a busy machine one takes a minute
    to start; raise it where workers wait in a batch system's queue."""
    dashboard: bool = True
    performance_report: bool = False
    """Leave Dask's report of where time went in the stages folder, as performance.html."""
    files_per_partition: int = Field(default=128, ge=1)
    """Files that are one unit of work; more of them where a dataset would have over 512 units."""


class CurateRecipe(Strict):
    """`make curate`: from a folder of native data sets to a corpus."""

    name: str
    data: Location
    """A folder or an fsspec URL; every folder or archive in it is one dataset, as published."""
    out: Location | None = None
    """The corpus folder; null: data/corpus/<name>."""
    stages: Location | None = None
    """Where stages leave their tables; null: data/stages. All workers must see it."""
    what: CurateWhat = CurateWhat()
    how: CurateHow = CurateHow()

    @property
    def corpus_folder(self) -> Place:
        """Where the corpus goes."""
        return place(self.out or f"data/corpus/{self.name}")

    @property
    def stages_folder(self) -> Place:
        """Where the stages' tables go."""
        return place(self.stages or "data/stages")

    @property
    def cache_folder(self) -> Path:
        """Local folder for what has to be unpacked or converted before it can be read."""
        stages = self.stages_folder
        return stages / "cache" if isinstance(stages, Path) else LOCAL_CACHE
