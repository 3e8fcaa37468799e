# SPDX-License-Identifier: Apache-2.0
"""SpaceNet 1-8: chips as GeoTIFF in several products, building or road outlines as GeoJSON.

The folder names the product (PS-RGB, MUL, geojson_roads …), the file name the chip; both are read
as the challenges wrote them. Of the products of a chip one is its image. Outlines stay GeoJSON in
the CRS that they state. Source: the layouts as torchgeo's SpaceNet classes read them.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rspipe.readers.base import Listing, pattern, record, split_in_path, without_container
from rspipe.readers.companions import companions
from rspipe.readers.parts import texts
from rspipe.readers.tree import FileTree
from rspipe.schema import DatasetCard, Geography, ImageRecord

PRODUCTS = (
    *("PS-RGB", "RGB-PanSharpen", "3band", "images_masked", "PRE-event", "POST-event"),
    *("Pan-Sharpen", "PS-RGBNIR", "RGBNIR", "images", "PS-MS", "MUL-PanSharpen", "8band"),
    *("MS", "MUL", "PAN", "SAR-Intensity"),
)
"""Folders of chips, those that show most of visible light first."""
LABELS = (
    *("labels_match", "geojson_buildings", "geojson/buildings", "geojson/spacenet-buildings"),
    *("geojson_roads_speed", "geojson_roads", "geojson", "vectordata/geojson", "annotations"),
    *("labels", "labels_match_pix"),
)
"""Folders of outlines; the matched ones and those that know most first."""
_CHIPS = (
    # 7: global_monthly_2018_01_mosaic_L15-0331E-1257N_1327_3160_13[_Buildings|_UDM]
    re.compile(r"(global_monthly_(?P<month>\d{4}_\d\d)_mosaic_l\d+-[^_]+_\d+_\d+_\d+)"),
    # 6: SN6_Train_AOI_11_Rotterdam_PS-RGB_20190804111224_20190804111453_tile_1
    re.compile(r"(aoi_\d+_[a-z]+)_.+_(\d{14}_\d{14}_tile_\d+)$"),
    # 1, 2, 3, 5: 3band_AOI_1_RIO_img1, SN5_roads_train_AOI_7_Moscow_PS-RGB_chip0
    re.compile(r"(aoi_\d+_[a-z]+)_(?:.+_)?((?:img|chip)\d+)$"),
    # 4: Pan-Sharpen_Atlanta_nadir10_catid_1030010003993E00_732701_3730989; 27 views of one chip
    re.compile(r"(?:(?P<view>nadir\d+_catid_[0-9a-f]+)_)?(\d{6}_\d{7})$"),
    # 8: 10300100ACCBFA00_0_15_63, labels 0_15_63; counted anew in every region
    re.compile(r"(?:^|_)(?P<region>)(\d+_\d+_\d+)$"),
)
_SPLIT = re.compile(r"(?:^|[/_.-])(train|test|val)(?:ing|idation)?(?=[/_.-])", re.IGNORECASE)

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Chip:
    """What folder and name of a file say."""

    key: Key
    """What pictures and outlines of one chip have in common."""
    rank: int
    """Position of its folder in the order of preference."""
    view: str = ""
    """Pictures of one chip that are none of each other's products: a view, before, after."""
    acquired: str | None = None


class SpaceNet:
    """Chips with the path of their outlines; the two times of version 8 as pairs.

    Card options:

    images, labels: folders in order of preference (`PS-RGB`, `geojson/buildings`). Products that
        the card does not name are sidecars.
    image_pattern, label_pattern: regular expressions instead, for trees that no challenge wrote; a
        picture and outlines with equal groups belong together.
    """

    name = "spacenet"
    options: tuple[str, ...] = ("images", "labels", "image_pattern", "label_pattern")

    def recognises(self, tree: FileTree) -> bool:
        """Some chip of a known product has outlines in a known folder."""
        card = DatasetCard(name="any")
        images, labels = _sort_out(tree, card)
        return not {chip.key for chip in images.values()}.isdisjoint(
            chip.key for chip in labels.values()
        )

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List the preferred product of every chip, with its outlines; the rest are sidecars."""
        images, labels = _sort_out(tree, card)
        chosen, sidecars = _choose_labels(labels)
        found, others = _choose_images(images, chosen, card)
        known = {chip.key for chip in images.values()}
        for key, path in chosen.items():
            sidecars[path] = "annotation" if key in known else "annotation without an image"
        beside = companions(tree) | _beside(tree, card)
        return Listing(found, sidecars | others) | Listing(sidecars=beside)


def _sort_out(tree: FileTree, card: DatasetCard) -> tuple[dict[str, _Chip], dict[str, _Chip]]:
    """Tell pictures and outlines by folder and name."""
    rasters, vectors = tree.with_suffix(".tif", ".tiff"), tree.with_suffix(".geojson", ".json")
    return (
        _chips(rasters, texts(card, card.options, "images") or PRODUCTS, "image_pattern", card),
        _chips(vectors, texts(card, card.options, "labels") or LABELS, "label_pattern", card),
    )


def _chips(
    paths: Iterable[str], folders: Sequence[str], option: str, card: DatasetCard
) -> dict[str, _Chip]:
    if option in card.options:
        expression = pattern(card, str(card.options[option]))
        matches = ((path, expression.search(path)) for path in paths)
        return {p: _Chip(tuple(g or "" for g in m.groups()), 0) for p, m in matches if m}
    ranks = {folder.lower(): rank for rank, folder in enumerate(folders)}
    chips = ((path, _chip(path, ranks)) for path in paths)
    return {path: chip for path, chip in chips if chip is not None}


def _chip(path: str, ranks: Mapping[str, int]) -> _Chip | None:
    above, _, name = path.lower().rpartition("/")
    folders = [without_container(folder) for folder in above.split("/")]
    found = _folder_rank(folders, ranks)
    stem = name.rpartition(".")[0]
    match = next((m for m in (chip.search(stem) for chip in _CHIPS) if m), None)
    if found is None or match is None:
        return None
    rank, depth = found
    said = match.groupdict()
    region = "/".join(folders[:depth]) if "region" in said else ""
    key = tuple(g for g in match.groups() if g and g not in said.values())
    split = _SPLIT.search(path)
    month = said.get("month")
    return _Chip(
        (split[1].lower() if split else "", region, *key),
        rank,
        said.get("view") or (folders[depth] if folders[depth].endswith("-event") else ""),
        None if month is None else month.replace("_", "-"),
    )


def _folder_rank(folders: Sequence[str], ranks: Mapping[str, int]) -> tuple[int, int] | None:
    """Rank and depth of the deepest folder, or folder in a folder, that is a known one."""
    for depth in range(len(folders) - 1, -1, -1):
        for start in (depth - 1, depth):
            rank = ranks.get("/".join(folders[max(start, 0) : depth + 1]))
            if rank is not None:
                return rank, max(start, 0)
    return None


def _choose_labels(labels: Mapping[str, _Chip]) -> tuple[dict[Key, str], dict[str, str]]:
    chosen: dict[Key, str] = {}
    sidecars: dict[str, str] = {}
    for path, chip in sorted(labels.items(), key=lambda item: (item[1].rank, item[0])):
        best = chosen.setdefault(chip.key, path)
        if best != path:
            sidecars[path] = f"another annotation beside {best}"
    return chosen, sidecars


def _choose_images(
    images: Mapping[str, _Chip], labels: Mapping[Key, str], card: DatasetCard
) -> tuple[dict[str, ImageRecord], dict[str, str]]:
    chosen: dict[Key, dict[str, str]] = defaultdict(dict)
    sidecars: dict[str, str] = {}
    for path, chip in sorted(images.items(), key=lambda item: (item[1].rank, item[0])):
        best = chosen[chip.key].setdefault(chip.view, path)
        if best != path:
            sidecars[path] = f"another product of {best}"
    found = {}
    for key, views in chosen.items():
        for view, path in views.items():
            other = {"pre-event": "post-event", "post-event": "pre-event"}.get(view)
            said = record(
                path,
                card,
                _split_of(path, card),
                footprints_path=labels.get(key),
                pair_path=views.get(other) if other else None,
            )
            where = Geography(acquired=images[path].acquired)
            found[path] = said.model_copy(update={"geography": where})
    return found, sidecars


def _split_of(path: str, card: DatasetCard) -> str | None:
    """Find the split: by the card's rules, else by the first such word in the path."""
    if "splits" in card.options or "split_patterns" in card.options:
        return split_in_path(path, card)
    match = _SPLIT.search(path)
    return match[1].lower() if match else None


def _beside(tree: FileTree, card: DatasetCard) -> dict[str, str]:
    """Name the files of a challenge that are neither chosen pictures nor outlines."""
    products = {product.lower() for product in PRODUCTS}
    found = dict.fromkeys(tree.with_suffix(".csv"), "table of the challenge")
    found |= dict.fromkeys(tree.with_suffix(".geojson"), "outlines")
    if "images" not in card.options:
        return found | _masks(tree)
    for path in tree.with_suffix(".tif", ".tiff"):
        folders = (without_container(f) for f in path.lower().split("/")[:-1])
        product = next((folder for folder in folders if folder in products), None)
        if product is not None:
            found[path] = f"product {product}, which the card does not choose"
    return found | _masks(tree)


def _masks(tree: FileTree) -> dict[str, str]:
    masks = (path for path in tree.image_paths if "/udm_masks/" in f"/{path.lower()}")
    return dict.fromkeys(masks, "mask of unusable data")
