# SPDX-License-Identifier: Apache-2.0
"""Images with masks: twin folders, suffixes in one folder, or separate trees.

LoveDA, Potsdam, Vaihingen, DeepGlobe, Inria, LandCover.ai, GID-15, WHU building, Massachusetts,
GeoNRW, OpenEarthMap, DFC2022 …
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rspipe.errors import RecipeError
from rspipe.readers.base import Listing, record
from rspipe.readers.companions import companions
from rspipe.readers.parts import HERE, Part, assign, choose, part
from rspipe.readers.splits import SplitLists, read_split_lists
from rspipe.readers.tree import FileTree
from rspipe.recipe import nearest_name
from rspipe.schema import DatasetCard, ImageRecord

IMAGE_FOLDERS = (
    *("images", "images_png", "image", "imgs", "img", "img_dir", "jpegimages", "rgb", "sat"),
    *("satellite", "top", "src", "bdortho"),
)
MASK_FOLDERS = (
    *("masks", "masks_png", "mask", "labels", "label", "labels_png", "gt", "gts", "groundtruth"),
    *("ground_truth", "annotations", "ann_dir", "segmentationclass", "urbanatlas", "seg", "map"),
)
# Ends of names by which images and masks are told where no card says more: image, mask.
SUFFIXES = (
    ("", ""),
    ("_sat", "_mask"),
    ("", "_mask"),
    ("_image", "_mask"),
    ("", "_label"),
    ("", "_labels"),
    ("", "_gt"),
    ("", "_seg"),
    ("_rgb", "_seg"),
    ("_RGB", "_label"),
    ("_RGBIR", "_label"),
    ("", "_15label"),
    ("", "_24label"),
    ("", "_UA2012"),
    ("", "_m"),
)
_MASK_ENDS = tuple(mask_end for _, mask_end in SUFFIXES if mask_end)
_RULE_OPTIONS = (
    *("images", "image_suffix", "image_pattern"),
    *("masks", "mask_suffix", "mask_pattern"),
)


class MaskPairs:
    """An image and its mask differ in their folder or in the end of their name, and in no more.

    Card options, each one text or a list in order of preference:

    images, masks: folders (names or ends of paths; `.` for files outside any such folder). Where
        only one is given, the other is one of the usual ones, unless it has a suffix.
    image_suffix, mask_suffix: ends of names before the file suffix.
    image_pattern, mask_pattern: regular expressions searched in the path, instead of folder and
        suffix; an image and a mask with equal groups are a pair.
    pairs: a list of rules, each with the options above; a file plays its part in the first.
    split_lists: split → text file with the names that belong to it.

    Without these options, and for files that they leave over, usual names are tried.

    Of several images of one key the preferred product counts; the others, and lesser masks, are
    sidecars. Two equally preferred masks of one image are faults: neither is taken.
    """

    name = "mask_pairs"
    options: tuple[str, ...] = (*_RULE_OPTIONS, "pairs", "split_lists")

    def recognises(self, tree: FileTree) -> bool:
        """Most files in mask folders, or with a mask's suffix, have an image."""
        return next(_guesses(tree.image_paths), None) is not None

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List images with their masks; a mask is a sidecar, also without its image."""
        lists = read_split_lists(tree, card)
        beside = Listing(sidecars=companions(tree) | lists.sidecars, faults=lists.faults)
        listing, free = Listing(), tree.image_paths
        for rule in _rules(card):
            listing |= _pair(free, *rule, lists, card)
            free = tuple(path for path in free if not _is_known(path, listing))
        # What no rule of the card speaks of may still be masks: those must not pass for images.
        for rule in _guesses(free):
            listing |= _pair(free, *rule, lists, card)
            free = tuple(path for path in free if not _is_known(path, listing))
        return listing | beside


def _is_known(path: str, listing: Listing) -> bool:
    return path in listing.images or path in listing.sidecars or path in listing.faults


def _rules(card: DatasetCard) -> Iterator[tuple[Part, Part]]:
    declared = any(option in card.options for option in _RULE_OPTIONS)
    rules: Sequence[Mapping[str, Any]] = card.options.get(
        "pairs", [card.options] if declared else []
    )
    for rule in rules:
        if rule is not card.options:
            _check_options(rule, card)
        yield (
            part(card, rule, "image", "images", _usual_folders(rule, "image", IMAGE_FOLDERS)),
            part(card, rule, "mask", "masks", _usual_folders(rule, "mask", MASK_FOLDERS)),
        )


def _usual_folders(rule: Mapping[str, Any], name: str, usual: Sequence[str]) -> Sequence[str]:
    """Folders of a part whose folders the card leaves open, while it names the other part's.

    A part with a suffix of its own is told by that; without, it lies in the usual folders.
    """
    named = "images" in rule or "masks" in rule
    return usual if named and f"{name}_suffix" not in rule else (HERE,)


def _check_options(rule: Mapping[str, Any], card: DatasetCard) -> None:
    for option in rule:
        if option not in _RULE_OPTIONS:
            raise RecipeError(
                f"card {card.name!r}: a rule of pairs has no option {option!r}"
                f"{nearest_name(option, _RULE_OPTIONS)}"
            )


def _guesses(paths: Sequence[str]) -> Iterator[tuple[Part, Part]]:
    """Guess one rule after the other, each for the files that those before leave over.

    Twin folders go before suffixes in one folder, since they say more.
    """
    for usual_rules in (_twin_folders, _suffixes):
        while rule := _guess(paths, usual_rules(paths)):
            yield rule
            paths = [p for p in paths if not (rule[0].role_of(p) or rule[1].role_of(p))]


def _guess(paths: Sequence[str], rules: Iterable[tuple[Part, Part]]) -> tuple[Part, Part] | None:
    """Find the rule that brings most pairs about; None where none holds for most masks."""
    best, best_pairs = None, 0
    for rule in rules:
        images, masks = assign(paths, rule)
        pairs = len(images.keys() & masks.keys())
        if pairs > best_pairs and 2 * pairs >= len(masks):
            best, best_pairs = rule, pairs
    return best


def _twin_folders(paths: Sequence[str]) -> Iterator[tuple[Part, Part]]:
    """Build the usual rules whose masks occur at all: a tree without masks is passed once."""
    in_mask_folder = Part(MASK_FOLDERS)
    stems = [path.rpartition(".")[0] for path in paths if in_mask_folder.role_of(path)]
    for image_end, mask_end in SUFFIXES:
        if any(stem.endswith(mask_end) for stem in stems):
            yield Part(IMAGE_FOLDERS, (image_end,)), Part(MASK_FOLDERS, (mask_end,))


def _suffixes(paths: Sequence[str]) -> Iterator[tuple[Part, Part]]:
    """The like for masks that only a suffix tells from images of the same folder."""
    stems = [stem for path in paths if (stem := path.rpartition(".")[0]).endswith(_MASK_ENDS)]
    for image_end, mask_end in SUFFIXES:
        if mask_end and any(stem.endswith(mask_end) for stem in stems):
            yield Part(suffixes=(image_end,)), Part(suffixes=(mask_end,))


def _pair(
    paths: Iterable[str], image: Part, mask: Part, lists: SplitLists, card: DatasetCard
) -> Listing:
    images, masks = assign(paths, (image, mask))
    found: dict[str, ImageRecord] = {}
    sidecars: dict[str, str] = {}
    faults: dict[str, str] = {}
    chosen = {key: choose(members, "mask", sidecars, faults) for key, members in masks.items()}
    for key, members in images.items():
        best = members[0]
        for member in members:
            if member.role.rank > best.role.rank:
                sidecars[member.path] = f"another product of {best.path}"
                continue
            split = lists.split_of(member.path, card)
            found[member.path] = record(member.path, card, split, mask_path=chosen.get(key))
    for key, path in chosen.items():
        if path is not None:
            sidecars[path] = "mask" if key in images else "mask without an image"
    return Listing(found, sidecars, faults)
