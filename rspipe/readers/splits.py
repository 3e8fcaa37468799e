"""Official splits that a text file lists, a name a line (`train.txt`, `val.txt` …)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from rspipe.errors import RecipeError
from rspipe.io.images import claims_image
from rspipe.readers.base import SPLIT_NAMES, split_in_path
from rspipe.readers.tree import FileTree
from rspipe.schema import DatasetCard

_WHOLE = frozenset({"trainval"})


@dataclass(frozen=True)
class SplitLists:
    """What the lists of a dataset say."""

    splits: dict[str, str] = field(default_factory=dict)
    """Split by name, or by the end of a path, without file suffix."""
    sidecars: dict[str, str] = field(default_factory=dict)
    """The list files."""
    faults: dict[str, str] = field(default_factory=dict)
    """Lists that contradict one before them: path → how."""

    def split_of(self, path: str, card: DatasetCard) -> str | None:
        """Find the split of an image: from the lists, else from its path."""
        if self.splits:
            parts = path.rpartition(".")[0].split("/")
            endings = ("/".join(parts[i:]) for i in range(len(parts)))
            listed = next((self.splits[end] for end in endings if end in self.splits), None)
            if listed is not None:
                return listed
        return split_in_path(path, card)


def read_split_lists(tree: FileTree, card: DatasetCard) -> SplitLists:
    """Read the lists that the card's option `split_lists` names, else those named like a split.

    Lines are names with or without suffix, or ends of paths. Where a name stands in two lists the
    first list counts and the other is a fault; a `trainval` list gives way to finer ones.

    Raises:
        RecipeError: the card names a list that the tree does not hold.
    """
    lists = SplitLists()
    owner: dict[str, str] = {}
    for split, path in _lists(tree, card):
        twice = []
        for name in _names(tree.read_text(path)):
            if lists.splits.setdefault(name, split) != split and split not in _WHOLE:
                twice.append(name)
            owner.setdefault(name, path)
        if twice:
            first = f"{twice[0]} in {owner[twice[0]]}"
            lists.faults[path] = f"{len(twice):,} of its names stand in another list: {first}"
        else:
            lists.sidecars[path] = "split list"
    return lists


def _lists(tree: FileTree, card: DatasetCard) -> list[tuple[str, str]]:
    texts = tree.with_suffix(".txt", ".csv", ".lst")
    declared = card.options.get("split_lists")
    if declared is None:
        named = [(PurePosixPath(p).stem, p) for p in texts if PurePosixPath(p).suffix == ".txt"]
        usual = [(stem, path) for stem, path in named if stem.lower() in SPLIT_NAMES]
        return sorted(usual, key=lambda found: (found[0].lower() in _WHOLE, found[1]))
    found = []
    for split, end in declared.items():
        paths = [path for path in texts if f"/{path}".endswith(f"/{end}")]
        if not paths:
            raise RecipeError(f"card {card.name!r}: split_lists: no file {end!r} in the dataset")
        found += [(str(split), path) for path in paths]
    return found


def _names(text: str) -> Iterator[str]:
    for line in text.splitlines():
        words = line.strip().removeprefix("./")
        if words:
            yield _without_suffix(words)
            # "image.png mask.png" and "image.png 3" occur as well as names with spaces.
            if words != words.split()[0]:
                yield _without_suffix(words.split()[0])


def _without_suffix(name: str) -> str:
    return name.rpartition(".")[0] if claims_image(name) else name
