"""Class folders: `[split/]class/name.jpg` (UC Merced, AID, RESISC-45, EuroSAT, PatternNet …)."""

from pathlib import PurePosixPath

from rspipe.readers.base import Listing, record, split_in_path
from rspipe.readers.tree import FileTree
from rspipe.schema import DatasetCard


class ImageFolder:
    """The folder right above an image is its class, unless the card says the set has no labels."""

    name = "image_folder"
    options: tuple[str, ...] = ()

    def recognises(self, tree: FileTree) -> bool:
        """Two or more folders that hold images and nothing deeper; the weakest clue of all."""
        parents = {str(PurePosixPath(path).parent) for path in tree.image_paths}
        return len(parents) >= 2

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List every image with its class folder as the label."""
        labelled = card.task == "classification" or card.layout == "auto"
        images = {}
        for path in tree.image_paths:
            folder = PurePosixPath(path).parent.name
            is_class = labelled and folder and folder != split_in_path(path, card)
            images[path] = record(path, card, label=folder if is_class else None)
        return Listing(images)
