# SPDX-License-Identifier: Apache-2.0
"""Bare scenes: GeoTIFF, COG or JPEG 2000 files in any folders, no annotation (NAIP, Landsat …).

A scene that comes as one file per band is stacked to red, green and blue; a scene that comes in
tiles is mosaicked. Both are derivations: GDAL makes them when they are read.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rspipe.errors import RecipeError
from rspipe.readers.base import Listing, pattern, record, split_in_path
from rspipe.readers.companions import companions
from rspipe.readers.scene_names import SceneName, parse_name
from rspipe.readers.tree import FileTree
from rspipe.schema import DatasetCard, Derivation, Geography, ImageRecord

RASTERS = (".tif", ".tiff", ".jp2", ".j2k")
_COLOURS = ("red", "green", "blue")
_RENDERING = "TCI"  # Sentinel-2's true-colour picture of the bands beside it
_BESIDE = (
    (re.compile(r"(?:^|/)MSK_\w+\.(?:jp2|gml)$"), "quality mask of a scene"),  # Sentinel-2
    (re.compile(r"(?:-ql|_PVI)\.(?:jpg|jp2)$"), "quick look of a scene"),  # Sentinel-2
    (re.compile(r"_thumb_(?:small|large)\.jpe?g$"), "quick look of a scene"),  # Landsat
)


class Scenes:
    """Every raster is an image; header facts (CRS, bounds, bands) are read when it is opened.

    Files of single bands are told by well-known names (Sentinel-2, Landsat, HLS) or by the card.
    They are no images of their own, since a band outside visible light would pass for a grey one.

    Card options:

    stack_pattern: regular expression with the groups `band` and `scene` (what files of one scene
        have in common), searched in the path.
    stack_bands: {red: B04, green: B03, blue: B02}, what `band` is for each.
    mosaic_pattern: regular expression with the group `scene`; files of one scene are its tiles.
    """

    name = "scenes"
    options: tuple[str, ...] = ("stack_pattern", "stack_bands", "mosaic_pattern")

    def recognises(self, tree: FileTree) -> bool:
        """Every image file is a raster, or some are bands by their names; no class folders."""
        rasters = tree.with_suffix(*RASTERS)
        if rasters and len(rasters) == len(tree.image_paths) and not _are_classes(rasters):
            return True
        names = (parse_name(path) for path in rasters)
        return any(name is not None and name.rgb is not None for name in names)

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List every scene; band files, tiles, statistics and world files are sidecars."""
        names = {path: name for path in tree.image_paths if (name := parse_name(path))}
        listing = Listing(sidecars=_beside(tree))
        taken = set(tree.paths)
        listing |= _stacks(_band_files(tree, card, names), card, taken)
        listing |= _mosaics(tree, card, names, taken)
        plain = {
            path: _image(path, card, names.get(path))
            for path in tree.image_paths
            if path not in listing.sidecars
        }
        metadata = dict.fromkeys(
            tree.with_suffix(".xml", ".geojson", ".json"), "metadata of a scene"
        )
        return listing | Listing(plain, companions(tree)) | Listing(sidecars=metadata)


def _are_classes(paths: Sequence[str]) -> bool:
    """Whether most files are named after a folder of many: `forest/forest_12.tif` is a class's."""
    parts = [path.lower().split("/")[-2:] for path in paths]
    named = [p[0] for p in parts if len(p) == 2 and p[1].startswith(p[0])]
    return 2 * len(named) > len(paths) and 3 * len(set(named)) <= len(named)


def _beside(tree: FileTree) -> dict[str, str]:
    said = ((path, [what for rule, what in _BESIDE if rule.search(path)]) for path in tree.paths)
    return {path: what[0] for path, what in said if what}


@dataclass(frozen=True, slots=True)
class _BandFile:
    """One band of a scene."""

    path: str
    band: str
    span: tuple[int, int]
    """Where the band stands in the path."""
    scene: str
    """What the files of one scene, and no others, have in common."""
    rgb: tuple[str, ...]
    """What red, green and blue of this scene are called."""
    name: SceneName | None

    def stacked_path(self) -> str:
        """Name an image that no single file is: the path with all three bands in it."""
        start, end = self.span
        return f"{self.path[:start]}{''.join(self.rgb)}{self.path[end:]}"


def _image(path: str, card: DatasetCard, name: SceneName | None) -> ImageRecord:
    where = Geography(acquired=name.acquired, sensor=name.sensor) if name else Geography()
    return record(path, card).model_copy(update={"geography": where})


def _made(
    path: str, rule: Derivation, card: DatasetCard, name: SceneName | None, taken: set[str]
) -> ImageRecord:
    """Describe an image that no single file is: its split is that of its first member.

    Args:
        path: what it is called, if nothing else is.
        rule: how it is made.
        card: of the dataset.
        name: what the name of a member says.
        taken: names that are given already; gets this one.
    """
    while path in taken:
        path = f"{path}.made"
    taken.add(path)
    said = _image(rule.members[0], card, name)
    return said.model_copy(update={"source_path": path, "derivation": rule})


def _band_files(
    tree: FileTree, card: DatasetCard, names: Mapping[str, SceneName]
) -> list[_BandFile]:
    """Find the files of single bands, by the card's pattern or by well-known names."""
    text = card.options.get("stack_pattern")
    if text is None:
        return [_known_band(path, name) for path, name in names.items() if name.band and name.rgb]
    expression = _grouped(card, str(text), ("band", "scene"))
    rgb = tuple(str(card.options.get("stack_bands", {}).get(c, c)) for c in _COLOURS)
    found = ((path, expression.search(path)) for path in tree.image_paths)
    return [
        _BandFile(path, match["band"], match.span("band"), match["scene"], rgb, names.get(path))
        for path, match in found
        if match
    ]


def _known_band(path: str, name: SceneName) -> _BandFile:
    folder, _, file = path.rpartition("/")
    before = len(path) - len(file) + (name.scene or "").index("{}")
    band = name.band or ""
    scene = f"{folder}/{name.scene}"
    return _BandFile(path, band, (before, before + len(band)), scene, name.rgb or (), name)


def _grouped(card: DatasetCard, text: str, groups: Iterable[str]) -> re.Pattern[str]:
    expression = pattern(card, text)
    for group in groups:
        if group not in expression.groupindex:
            raise RecipeError(f"card {card.name!r}: {text!r} has no group (?P<{group}>…)")
    return expression


def _stacks(files: Iterable[_BandFile], card: DatasetCard, taken: set[str]) -> Listing:
    """Stack the scenes whose red, green and blue are there; every band file is a sidecar."""
    scenes: dict[str, dict[str, list[_BandFile]]] = defaultdict(lambda: defaultdict(list))
    for file in files:
        scenes[file.scene][file.band].append(file)
    whole = {
        scene: [bands[band][0] for band in next(iter(bands.values()))[0].rgb]
        for scene, bands in scenes.items()
        if bands.keys() >= set(next(iter(bands.values()))[0].rgb)
    }
    finest = _finest(whole.values())
    images = {}
    for members in whole.values():
        red = members[0]
        if _resolution(red) == finest[_place(red)]:
            paths = tuple(member.path for member in members)
            nodata = red.name.nodata if red.name else None
            rule = Derivation(kind="stack", members=paths, bands=_COLOURS, nodata=nodata)
            made = _made(red.stacked_path(), rule, card, red.name, taken)
            images[made.source_path] = made
    renderings = {_place(members[0]) for members in whole.values()}
    sidecars = {
        file.path: _what_band(file, bands)
        for bands in scenes.values()
        for found in bands.values()
        for file in found
        if file.band != _RENDERING or _place(file) in renderings
    }
    return Listing(images, sidecars)


def _what_band(file: _BandFile, bands: Mapping[str, object]) -> str:
    if file.band == _RENDERING:
        return "a rendering of a scene whose bands are here"
    missing = [band for band in file.rgb if band not in bands]
    return f"band {file.band} of a scene" + (f" without {', '.join(missing)}" if missing else "")


def _place(file: _BandFile) -> str:
    """What the stacks of one scene at several ground sizes have in common."""
    if file.name is None or file.name.resolution_m is None:
        return file.scene
    return (file.name.scene or "").removesuffix(f"_{file.name.resolution_m}m")


def _resolution(file: _BandFile) -> int:
    return (file.name.resolution_m if file.name else None) or 0


def _finest(scenes: Iterable[list[_BandFile]]) -> dict[str, int]:
    finest: dict[str, int] = {}
    for red, *_ in scenes:
        place = _place(red)
        finest[place] = min(_resolution(red), finest.get(place, _resolution(red)))
    return finest


def _mosaics(
    tree: FileTree, card: DatasetCard, names: Mapping[str, SceneName], taken: set[str]
) -> Listing:
    """Put the tiles of a scene together; a scene of one tile is that file."""
    text = card.options.get("mosaic_pattern")
    if text is None:
        return Listing()
    expression = _grouped(card, str(text), ("scene",))
    # Tiles of two splits make two pictures: no mosaic may carry a test tile into training.
    scenes: dict[tuple[str, str | None], list[str]] = defaultdict(list)
    for path in tree.image_paths:
        match = expression.search(path)
        if match:
            scenes[match["scene"], split_in_path(path, card)].append(path)
    images, sidecars = {}, {}
    for (scene, _), tiles in scenes.items():
        if len(tiles) == 1:
            continue
        path = f"{_common_folder(tiles)}{scene.replace('/', '_')}.vrt"
        rule = Derivation(kind="mosaic", members=tuple(tiles))
        made = _made(path, rule, card, names.get(tiles[0]), taken)
        images[made.source_path] = made
        sidecars.update(dict.fromkeys(tiles, f"a tile of {made.source_path}"))
    return Listing(images, sidecars)


def _common_folder(paths: Iterable[str]) -> str:
    """The deepest folder that holds all paths, with its slash; empty for the root."""
    folders = [path.split("/")[:-1] for path in paths]
    shared = []
    for names in zip(*folders, strict=False):
        if len(set(names)) > 1:
            break
        shared.append(f"{names[0]}/")
    return "".join(shared)
