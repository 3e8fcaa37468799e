# SPDX-License-Identifier: Apache-2.0
"""Two pictures of one place and a mask of what changed between them.

LEVIR-CD and LEVIR-CD+, WHU-CD, S2Looking, SYSU-CD, CDD, DSIFN, SECOND …
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rspipe.readers.base import Listing, record
from rspipe.readers.companions import companions
from rspipe.readers.parts import HERE, Key, Member, Part, assign, choose, part
from rspipe.readers.splits import SplitLists, read_split_lists
from rspipe.readers.tree import FileTree
from rspipe.schema import DatasetCard, ImageRecord

BEFORE_FOLDERS = ("A", "Image1", "im1", "time1", "t1", "before", "pre")
AFTER_FOLDERS = ("B", "Image2", "im2", "time2", "t2", "after", "post")
MASK_FOLDERS = ("label", "labels", "mask", "masks", "gt", "OUT", "change_label", "cm")
_PREFIX = re.compile(r"(train|val|valid|test)[_-]")

Group = dict[Key, list[Member]]


class ChangePairs:
    """A before, an after and a mask differ in their folder or in the end of their name.

    Card options, with the meaning they have for `mask_pairs`: `before`, `before_suffix`,
    `before_pattern`; `after` and the like; `masks`, `mask_suffix`, `mask_pattern` for masks that
    speak of both; `before_masks` and `after_masks` (`label1`, `label2`), folders of masks that
    speak of one, taken where there is none of both; `split_lists`. Of the dates of the pictures
    only their order is known.
    """

    name = "change_pairs"
    options: tuple[str, ...] = (
        *("before", "before_suffix", "before_pattern"),
        *("after", "after_suffix", "after_pattern"),
        *("masks", "mask_suffix", "mask_pattern"),
        *("before_masks", "after_masks", "split_lists"),
    )

    def recognises(self, tree: FileTree) -> bool:
        """Most masks in the usual folders have a before and an after."""
        before, after, masks, *_ = assign(tree.image_paths, _parts(DatasetCard(name="any")))
        complete = before.keys() & after.keys() & masks.keys()
        return bool(complete) and 2 * len(complete) >= len(masks)

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List both pictures of every place, each with the other and with the mask."""
        lists = read_split_lists(tree, card)
        groups = assign(tree.image_paths, _parts(card))
        listing = _pair_up(groups, lists, card)
        return listing | Listing(sidecars=companions(tree) | lists.sidecars, faults=lists.faults)


def _parts(card: DatasetCard) -> tuple[Part, ...]:
    options = card.options
    usual = (BEFORE_FOLDERS, AFTER_FOLDERS, MASK_FOLDERS)
    named = (("before", "before"), ("after", "after"), ("mask", "masks"))
    shared = (
        part(card, options, name, plural, _usual(options, name, folders))
        for (name, plural), folders in zip(named, usual, strict=True)
    )
    own = (
        part(card, options, "", f"{name}_masks", (folder,))
        for name, folder in (("before", "label1"), ("after", "label2"))
    )
    return (*shared, *own)


def _usual(options: Mapping[str, Any], name: str, folders: Sequence[str]) -> Sequence[str]:
    return (HERE,) if f"{name}_suffix" in options else folders


def _pair_up(groups: Sequence[Group], lists: SplitLists, card: DatasetCard) -> Listing:
    sidecars: dict[str, str] = {}
    faults: dict[str, str] = {}
    before, after = groups[:2]
    masks, before_masks, after_masks = (
        {key: choose(members, "mask", sidecars, faults) for key, members in group.items()}
        for group in groups[2:]
    )
    found: dict[str, ImageRecord] = {}
    for ours, theirs, own_masks in ((before, after, before_masks), (after, before, after_masks)):
        for key, members in ours.items():
            pair = _only(theirs.get(key, ())) if len(members) == 1 else None
            mask = (masks.get(key) or own_masks.get(key)) if pair else None
            for path in (member.path for member in members):
                split = _split_of(path, lists, card)
                found[path] = record(path, card, split, mask_path=mask, pair_path=pair)
    whole = before.keys() & after.keys()
    for group in (masks, before_masks, after_masks):
        for key, mask in group.items():
            if mask is not None:
                sidecars[mask] = "mask" if key in whole else "mask without its pair of images"
    return Listing(found, sidecars, faults)


def _only(members: Sequence[Member]) -> str | None:
    """Path of the one member; None where there is none, or no telling which of several."""
    return members[0].path if len(members) == 1 else None


def _split_of(path: str, lists: SplitLists, card: DatasetCard) -> str | None:
    """Find the split: lists, folders, else the beginning of the name (`train_12.png`)."""
    prefix = _PREFIX.match(path.rpartition("/")[2])
    return lists.split_of(path, card) or (prefix[1] if prefix else None)
