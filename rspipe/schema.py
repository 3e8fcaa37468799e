# SPDX-License-Identifier: Apache-2.0
"""The words of rspipe as types, and the Arrow schemas of its tables.

source/dataset → image (as published) → tile (after slicing; one corpus row). Order is always
y, x and height, width; units stand in the names.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import AfterValidator, Field, model_validator

from rspipe.recipe import Strict

SCHEMA_VERSION = 2

Task = Literal["unlabelled", "classification", "detection", "segmentation"]

AnnotationKind = Literal[
    "label",
    "multi_label",
    "boxes",
    "oriented_boxes",
    "mask",
    "instances",
    "change_mask",
    "footprints",
    "roads",
    "captions",
    "questions",
    "points",
    "values",
]

# The 8 flips and quarter turns, by the name of what was done to the copy. `transpose` mirrors
# at the main diagonal, `transverse` at the other one; quarter turns are counter-clockwise.
ORIENTATIONS = (
    "identity",
    "rot90",
    "rot180",
    "rot270",
    "flip_lr",
    "flip_ud",
    "transpose",
    "transverse",
)


def _below(path: str) -> str:
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or "\\" in path:
        raise ValueError(f"{path!r} is no path below the dataset's folder")
    return path


RelativePath = Annotated[str, AfterValidator(_below)]
"""Posix path below a folder, which it cannot leave."""


class Download(Strict):
    """One file to fetch: where it is, how it is checked, where it goes."""

    url: str
    """Address: http(s), file or `hf://datasets/OWNER/NAME/PATH`; with `manual`, a page to visit."""
    mirrors: tuple[str, ...] = ()
    """Other addresses of the same bytes, tried in order."""
    path: RelativePath | None = None
    """Posix path below the dataset's folder; null: the last part of the address."""
    size_bytes: int | None = Field(default=None, ge=0)
    """As published, often rounded: to plan with, while the server's own length is checked."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """As published, 64 hex digits; what does not have it is kept as `NAME.bad`."""
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    """Likewise, 32 hex digits; looked at where there is no SHA-256."""
    unpack: bool = False
    """A zip or tar archive whose content belongs into `unpack_to`."""
    unpack_to: RelativePath = ""
    """Posix path of a folder below the dataset's."""
    manual: bool = False
    """Behind a login, a form or a drive's click-through: a person fetches it, into `path`."""


_DESCRIBING = {
    *("title", "aliases", "annotations", "sources", "n_images", "counts", "image_px", "platform"),
    *("sensors", "licence_note", "n_classes", "urls", "hf_id", "downloads", "size_bytes"),
    *("citation", "doi", "arxiv", "shares_imagery_with", "known_faults"),
}
"""Fields of a card that no reader, stage or evaluator looks at."""


class DatasetCard(Strict):
    """What is known of one public dataset: data, not code. Unknown fields stay null."""

    name: str
    """Lower-case letters, digits and underscores; what the tables call the dataset."""
    title: str | None = None
    """The name as its publisher writes it."""
    aliases: tuple[str, ...] = ()
    """Other names under which the folder is met."""
    layout: str = "auto"
    """Name of a reader (READERS, or a plug-in's); `auto`: the first that recognises the folder."""
    task: Task = "unlabelled"
    """What an evaluator can judge with it; `annotations` says all that it holds."""
    annotations: tuple[AnnotationKind, ...] = ()
    """Kinds of annotation that are published with it."""
    version: str | None = None
    """In the publisher's words; stands in every row."""
    sources: tuple[str, ...] = ()
    """Where the facts of this card were read: addresses, or github:OWNER/NAME:PATH."""

    n_images: Annotated[int, Field(ge=1)] | None = None
    """Published images of all splits, an image pair counting as two."""
    counts: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    """Images by split, in the publisher's words."""
    image_px: tuple[int, int] | None = None
    """Shortest and longest side that occurs, in pixels."""
    gsd_m: tuple[float, float] | None = None
    """Smallest and largest ground sample distance in metres."""
    bands: tuple[str, ...] | None = None
    """Names of a raster's bands, in file order: red, green, blue, nir …; null: the file's marks."""
    display_range: tuple[float, float] | None = None
    """Raw values that the publisher shows as black and white, for data that are not 8-bit."""
    platform: Literal["satellite", "aerial", "drone", "mixed"] | None = None
    """What carried the camera; `mixed` also for mosaics such as Google Earth's."""
    sensors: tuple[str, ...] = ()
    """Satellites, cameras or services that the imagery comes from."""

    licence: str | None = None
    """SPDX expression, or LicenseRef-…; null where the publisher states none."""
    licence_url: str | None = None
    """Where the terms stand."""
    licence_note: str | None = None
    """Terms that no SPDX identifier says, or that none is stated."""
    attribution: str | None = None
    """Whom to name, as the licence asks; stands in every row."""
    redistributable: bool | None = None
    """Whether its tiles may be passed on; null: nobody knows."""

    benchmark_splits: Literal["all"] | tuple[str, ...] = ()
    """Splits that people report scores on: never packed, and no corpus tile may match them."""
    train_splits: tuple[str, ...] | None = None
    """Splits an evaluator may train on; null: `train`, or a seeded share without splits."""
    test_splits: tuple[str, ...] | None = None
    """Splits an evaluator reports on; null: `test`, else `val`, else the rest of the share."""
    classes: tuple[str, ...] | dict[str, int | str] | None = None
    """Class names, or for masks a mapping from name to pixel value or #RRGGBB colour."""
    n_classes: Annotated[int, Field(ge=1)] | None = None
    """Where `classes` would be too long to list."""
    outline_class_property: str | None = None
    """Property of GeoJSON outlines that names an object's class; null: all are of one class."""
    outline_buffer_m: float | None = Field(default=None, gt=0)
    """Half the width of lines and the radius of points, on the ground; null: left out."""
    ignore_classes: tuple[str, ...] = ()
    """Classes that no score counts."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the layout's reader."""

    urls: tuple[str, ...] = ()
    """Pages of the publisher, the first one being home."""
    hf_id: str | None = None
    """OWNER/NAME of a copy on the Hugging Face hub."""
    downloads: tuple[Download, ...] = ()
    """What `rspipe catalog fetch` fetches."""
    size_bytes: int | None = Field(default=None, ge=0)
    """On disk, unpacked."""
    citation: str | None = None
    """The paper, as one cites it."""
    doi: str | None = None
    """Of the paper, without an address before it: 10.1109/…"""
    arxiv: str | None = None
    """Number of the paper's preprint, e.g. 2110.08733."""
    shares_imagery_with: tuple[str, ...] = ()
    """Cards of the same imagery and places: pictures of one may occur, or be cut, in the other."""
    known_faults: tuple[str, ...] = ()
    """What is wrong with the published files, or where sources contradict each other."""

    def deciding(self) -> dict[str, Any]:
        """The fields that change what is made of the dataset: the others only describe it.

        Results are fingerprinted by these, so that a mended citation makes nothing anew.
        """
        return self.model_dump(mode="json", exclude=_DESCRIBING)

    def is_benchmark(self, split: str | None) -> bool:
        """Whether images of this split are held out from every corpus."""
        return self.benchmark_splits == "all" or split in self.benchmark_splits


class Box(Strict):
    """A rectangle of pixels: rows y0 ≤ y < y1, columns x0 ≤ x < x1.

    >>> Box(y0=0, x0=448, y1=512, x1=960).area_px
    262144
    """

    y0: int
    x0: int
    y1: int
    x1: int

    @model_validator(mode="after")
    def _has_pixels(self) -> "Box":
        if self.y1 <= self.y0 or self.x1 <= self.x0:
            raise ValueError(f"empty box: y {self.y0}..{self.y1}, x {self.x0}..{self.x1}")
        return self

    @property
    def height(self) -> int:
        """Rows."""
        return self.y1 - self.y0

    @property
    def width(self) -> int:
        """Columns."""
        return self.x1 - self.x0

    @property
    def area_px(self) -> int:
        """Pixels."""
        return self.height * self.width


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectBox:
    """One annotated object, in pixels of its image: edges of pixels, so a full image is 0..width.

    Horizontal boxes are (x0, y0, x1, y1); an oriented box adds its four corners in order. A plain
    dataclass: there are millions of them, and a model takes three times the memory.
    """

    label: str
    x0: float
    y0: float
    x1: float
    y1: float
    corners: tuple[float, ...] | None = None
    """x, y of the four corners, in order around the box; null for a horizontal box."""
    difficult: bool = False
    truncated: bool = False
    """Part of the object lies outside the image or tile."""

    def __post_init__(self) -> None:
        if self.corners is not None and len(self.corners) != 8:
            raise ValueError(f"{len(self.corners)} numbers are not four corners")


class Annotation(Strict):
    """What a dataset says of what one of its images shows."""

    label: str | None = None
    """Class of the whole image; several classes are sorted and joined by `|`."""
    boxes: tuple[ObjectBox, ...] | None = None
    """Empty means looked at and found nothing; null means nobody looked."""
    boxes_normalised: bool = False
    """Boxes are still shares of the image's width and height; see `readers.boxes.in_pixels`."""
    mask_path: str | None = None
    """Path of the mask image, relative to the dataset's root."""
    footprints_path: str | None = None
    """Path of a GeoJSON file with object outlines in the CRS it states (SpaceNet, xView2 …)."""
    pair_path: str | None = None
    """Path of the same place at another time (change detection); the mask speaks of both."""
    caption: str | None = None
    """Several captions stand one a line."""


class Geography(Strict):
    """Where and when an image was taken, as its dataset says; the file's own marks go first."""

    gsd_m: float | None = None
    crs: str | None = None
    xmin: float | None = None
    """West, in degrees (EPSG:4326)."""
    ymin: float | None = None
    xmax: float | None = None
    ymax: float | None = None
    acquired: str | None = None
    """ISO 8601."""
    sensor: str | None = None
    cloud_cover: float | None = None
    """Share of the image, 0..1."""


class Derivation(Strict):
    """How GDAL makes an image that no single file is. Members are paths below the root."""

    kind: Literal["mosaic", "stack", "subdatasets"]
    """mosaic: georeferenced tiles side by side; stack: one file per band, in band order;
    subdatasets: bands of one HDF container, in band order."""
    members: tuple[str, ...]
    """Files; for `subdatasets` the container and then the names of the sub-datasets."""
    bands: tuple[str, ...] | None = None
    """Names of the product's bands, in order (red, green, blue); null: those of the card."""
    nodata: float | None = None
    """Fill value, where the files do not carry it."""
    valid_range: tuple[float, float] | None = None
    """Smallest and largest raw value that is a measurement; others become `nodata`."""
    scale: float | None = None
    """Physical value = raw × scale + offset; recorded, since a stretch makes it indifferent."""
    offset: float | None = None
    unit: str | None = None


class ImageRecord(Strict):
    """One image as a reader lists it: where it lies and what is said of it, no pixels."""

    source_path: str
    """Posix path relative to the dataset's root."""
    split: str | None = None
    annotation: Annotation = Annotation()
    geography: Geography = Geography()
    derivation: Derivation | None = None
    """Null for an image that is a file; else `source_path` may be a name that no file has."""


# One annotated object. Coordinates in pixels of the row's own image or tile.
BOX_TYPE = pa.struct(
    [
        ("label", pa.string()),
        ("x0", pa.float32()),
        ("y0", pa.float32()),
        ("x1", pa.float32()),
        ("y1", pa.float32()),
        ("corners", pa.list_(pa.float32())),
        ("difficult", pa.bool_()),
        ("truncated", pa.bool_()),
    ]
)

ORIGIN_FIELDS = [
    pa.field("dataset", pa.string()),
    pa.field("dataset_version", pa.string()),
    pa.field("split", pa.string()),
    pa.field("source_path", pa.string()),
    pa.field("image_id", pa.string()),
    pa.field("source_sha256", pa.string()),
    pa.field("source_size_bytes", pa.int64()),
]
RIGHTS_FIELDS = [
    pa.field("licence", pa.string()),
    pa.field("licence_url", pa.string()),
    pa.field("attribution", pa.string()),
    pa.field("redistributable", pa.bool_()),
]
GEO_FIELDS = [
    pa.field("gsd_m", pa.float64()),
    pa.field("crs", pa.string()),
    pa.field("xmin", pa.float64()),
    pa.field("ymin", pa.float64()),
    pa.field("xmax", pa.float64()),
    pa.field("ymax", pa.float64()),
    pa.field("acquired", pa.string()),
    pa.field("sensor", pa.string()),
    pa.field("cloud_cover", pa.float32()),
]
ANNOTATION_FIELDS = [
    pa.field("label", pa.string()),
    pa.field("boxes", pa.list_(BOX_TYPE)),
    pa.field("mask_path", pa.string()),
    pa.field("footprints_path", pa.string()),
    pa.field("pair_path", pa.string()),
    pa.field("caption", pa.string()),
]
PIXEL_FIELDS = [
    pa.field("height", pa.int32()),
    pa.field("width", pa.int32()),
    pa.field("bands", pa.int32()),
    pa.field("dtype", pa.string()),
    pa.field("format", pa.string()),
]
# The bands, from 1, that make up red, green, blue (or grey); null: no rule gives visible light.
DISPLAY_FIELDS = [
    pa.field("display_bands", pa.list_(pa.int32())),
    # JSON of schema.Derivation; null for an image that is a file.
    pa.field("derivation", pa.string()),
]
# Whether the corpus holds the published file as it is (true) or a cut or converted PNG.
BYTES_FIELDS = [pa.field("original_bytes", pa.bool_())]
FATE_FIELDS = [
    pa.field("drop_stage", pa.string()),
    pa.field("drop_reason", pa.string()),
    pa.field("drop_detail", pa.string()),
]
BOX_IN_PARENT_FIELDS = [
    pa.field("y0", pa.int32()),
    pa.field("x0", pa.int32()),
    pa.field("h", pa.int32()),
    pa.field("w", pa.int32()),
]
# How a tile came from its window. `scale` is tile px over image px (1: not resampled). Raw values
# stretch_low..stretch_high became 0..255; null where the image is 8-bit.
RENDER_FIELDS = [
    pa.field("scale", pa.float64()),
    pa.field("stretch_low", pa.float64()),
    pa.field("stretch_high", pa.float64()),
]
MEASURE_FIELDS = [
    pa.field("pixel_hash", pa.string()),
    pa.field("phash", pa.uint64()),
    pa.field("flatness", pa.float32()),
    pa.field("nodata_fraction", pa.float32()),
    pa.field("sharpness", pa.float32()),
    pa.field("saturated_fraction", pa.float32()),
    pa.field("black_fraction", pa.float32()),
    pa.field("cloud_fraction", pa.float32()),
    pa.field("mean_grey", pa.float32()),
    pa.field("std_grey", pa.float32()),
]
MATCH_FIELDS = [
    pa.field("cluster_id", pa.string()),
    pa.field("cluster_size", pa.int32()),
    pa.field("cluster_diameter_bits", pa.int32()),
    pa.field("duplicate_of", pa.string()),
    pa.field("distance_bits", pa.int32()),
    pa.field("orientation", pa.string()),
    pa.field("verified_similarity", pa.float32()),
    pa.field("overlap_iou", pa.float32()),
    pa.field("benchmark_hit", pa.string()),
]

# One row per file below a dataset's root.
IMAGE_SCHEMA = pa.schema(
    ORIGIN_FIELDS
    + PIXEL_FIELDS
    + DISPLAY_FIELDS
    + RIGHTS_FIELDS
    + GEO_FIELDS
    + ANNOTATION_FIELDS
    + FATE_FIELDS
)
# One row per tile, held-out benchmark tiles included; and one per image that was cut (`is_parent`),
# measured from a small picture of the whole: for lineage only, never a tile. `annotation_note` says
# what of the annotation could not be carried along. `orientation_hashes` are the pHashes of the
# tile in each of ORIENTATIONS; `thumbnail` is 32x32 grey uint8.
TILE_SCHEMA = pa.schema(
    [
        pa.field("tile_id", pa.string()),
        pa.field("is_parent", pa.bool_()),
        *ORIGIN_FIELDS,
        *BOX_IN_PARENT_FIELDS,
        *RENDER_FIELDS,
        *BYTES_FIELDS,
        *PIXEL_FIELDS,
        *DISPLAY_FIELDS,
        *RIGHTS_FIELDS,
        *GEO_FIELDS,
        *ANNOTATION_FIELDS,
        pa.field("annotation_note", pa.string()),
        *MEASURE_FIELDS,
        pa.field("orientation_hashes", pa.list_(pa.uint64(), 8)),
        pa.field("thumbnail", pa.binary(1024)),
        *FATE_FIELDS,
    ]
)
# The fate of every tile after dedup and after leakage, in the row order of the tile table.
FATE_SCHEMA = pa.schema([pa.field("tile_id", pa.string()), *FATE_FIELDS, *MATCH_FIELDS])

# One row per (corpus tile, benchmark tile) that are the same picture. `matched_tile_id` is the
# tile, or the whole image it was cut from; hash and window are those of what matched.
HIT_SCHEMA = pa.schema(
    [
        pa.field("tile_id", pa.string()),
        pa.field("matched_tile_id", pa.string()),
        pa.field("dataset", pa.string()),
        pa.field("source_path", pa.string()),
        pa.field("source_sha256", pa.string()),
        *BOX_IN_PARENT_FIELDS,
        pa.field("benchmark", pa.string()),
        pa.field("benchmark_split", pa.string()),
        pa.field("benchmark_path", pa.string()),
        pa.field("benchmark_tile_id", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("distance_bits", pa.int32()),
        pa.field("orientation", pa.string()),
        pa.field("similarity", pa.float32()),
    ]
)

# What must not be trained on by whoever reports scores on a benchmark: windows of published files.
EXCLUSION_SCHEMA = pa.schema(
    [
        pa.field("dataset", pa.string()),
        pa.field("source_path", pa.string()),
        pa.field("source_sha256", pa.string()),
        *BOX_IN_PARENT_FIELDS,
        pa.field("benchmark", pa.string()),
        pa.field("benchmark_split", pa.string()),
        pa.field("benchmark_path", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("distance_bits", pa.int32()),
        pa.field("orientation", pa.string()),
        pa.field("similarity", pa.float32()),
    ]
)

# What became of every file and every tile ever seen. `level` is file, tile or parent (an image that
# was cut, as a whole).
LEDGER_SCHEMA = pa.schema(
    [
        pa.field("level", pa.string()),
        pa.field("tile_id", pa.string()),
        *ORIGIN_FIELDS,
        *BOX_IN_PARENT_FIELDS,
        *RENDER_FIELDS,
        *BYTES_FIELDS,
        *PIXEL_FIELDS,
        pa.field("licence", pa.string()),
        pa.field("annotation_note", pa.string()),
        *MEASURE_FIELDS,
        *FATE_FIELDS,
        *MATCH_FIELDS,
    ]
)

# One row per tile of the corpus: what Hugging Face `datasets` loads.
CORPUS_SCHEMA = pa.schema(
    [
        pa.field("tile_id", pa.string()),
        pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        *PIXEL_FIELDS,
        *ORIGIN_FIELDS,
        *BOX_IN_PARENT_FIELDS,
        *RENDER_FIELDS,
        *BYTES_FIELDS,
        pa.field("sha256", pa.string()),
        *RIGHTS_FIELDS,
        *GEO_FIELDS,
        *MEASURE_FIELDS,
        pa.field("label", pa.string()),
        pa.field("boxes", pa.list_(BOX_TYPE)),
        pa.field("mask", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        pa.field("pair_path", pa.string()),
        pa.field("caption", pa.string()),
    ]
)
