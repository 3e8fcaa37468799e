"""Readers: one file per layout. `READERS` is the whole list, strongest clue first."""

from rspipe.errors import RecipeError
from rspipe.io.storage import FileEntry, Storage
from rspipe.readers.base import Listing, Reader
from rspipe.readers.coco import Coco
from rspipe.readers.dota import Dota
from rspipe.readers.image_folder import ImageFolder
from rspipe.readers.mask_pairs import MaskPairs
from rspipe.readers.scenes import Scenes
from rspipe.readers.tree import FileTree
from rspipe.readers.voc import Voc
from rspipe.recipe import nearest_name
from rspipe.schema import DatasetCard

READERS: dict[str, Reader] = {
    reader.name: reader for reader in (Voc(), Dota(), Coco(), MaskPairs(), Scenes(), ImageFolder())
}

__all__ = ["READERS", "FileEntry", "FileTree", "Listing", "Reader", "Storage", "read_dataset"]


def read_dataset(tree: FileTree, card: DatasetCard) -> Listing:
    """List a dataset by the reader that its card names, or by the first that recognises it.

    Raises:
        RecipeError: the card names a layout that no reader knows.
    """
    if card.layout != "auto":
        if card.layout not in READERS:
            raise RecipeError(
                f"card {card.name!r}: unknown layout {card.layout!r}"
                f"{nearest_name(card.layout, READERS)}"
            )
        return READERS[card.layout].read(tree, card)
    reader = next((r for r in READERS.values() if r.recognises(tree)), None)
    return reader.read(tree, card) if reader else Listing()
