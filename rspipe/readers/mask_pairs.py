"""Images and masks in twin folders: `…/images/a.jpg`, `…/masks/a.png` (LoveDA, DeepGlobe …)."""

from pathlib import PurePosixPath

from rspipe.readers.base import Listing, record
from rspipe.readers.tree import FileTree
from rspipe.schema import DatasetCard

IMAGE_FOLDERS = ("images", "images_png", "image", "imgs", "img", "top", "src")
MASK_FOLDERS = ("masks", "masks_png", "mask", "labels", "label", "gt", "annotations")


class MaskPairs:
    """Twins share their place and their stem and differ in the folder's name.

    Card options: `images` and `masks`, the two folder names, where they are unusual.
    """

    name = "mask_pairs"
    options: tuple[str, ...] = ("images", "masks", "image_suffix", "mask_suffix")

    def recognises(self, tree: FileTree) -> bool:
        """Some image has a twin in a mask folder."""
        return bool(_pairs(tree, IMAGE_FOLDERS, MASK_FOLDERS))

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List images with their masks; mask files are sidecars, also those without an image."""
        image_folders = _option(card, "images", IMAGE_FOLDERS)
        mask_folders = _option(card, "masks", MASK_FOLDERS)
        pairs = _pairs(tree, image_folders, mask_folders)
        images = {path: record(path, card, mask_path=mask) for path, mask in pairs.items()}
        sidecars = dict.fromkeys(pairs.values(), "mask")
        for path in tree.image_paths:
            if path not in images and _folder(path) in mask_folders:
                sidecars.setdefault(path, "mask without an image")
        return Listing(images, sidecars)


def _option(card: DatasetCard, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    return (str(card.options[key]).lower(),) if key in card.options else default


def _folder(path: str) -> str:
    return PurePosixPath(path).parent.name.lower()


def _pairs(
    tree: FileTree, image_folders: tuple[str, ...], mask_folders: tuple[str, ...]
) -> dict[str, str]:
    """Pair image paths with mask paths: same grandparent, same stem."""
    masks = {
        (str(PurePosixPath(path).parent.parent), PurePosixPath(path).stem): path
        for path in tree.image_paths
        if _folder(path) in mask_folders
    }
    keyed = (
        (path, (str(PurePosixPath(path).parent.parent), PurePosixPath(path).stem))
        for path in tree.image_paths
        if _folder(path) in image_folders
    )
    return {path: masks[key] for path, key in keyed if key in masks}
