# SPDX-License-Identifier: Apache-2.0
"""38-Cloud: a folder per band, the same patch in each; masks are told by the card."""

from rspipe.schema import Derivation
from tests.fakes import Expected, write_files

_OPTIONS = {
    "stack_pattern": r"train_(?P<band>red|green|blue|nir)/(?P=band)_(?P<scene>patch_\d+)\.TIF$",
    "sidecars": {"(^|/)train_gt/": "cloud mask"},
}


def write(root):
    images, sidecars = {}, set()
    for patch in ("patch_1", "patch_2"):
        members = tuple(f"train_{c}/{c}_{patch}.TIF" for c in ("red", "green", "blue"))
        images[f"train_redgreenblue/red_{patch}.TIF"] = {
            "split": "train_red",
            "derivation": Derivation(kind="stack", members=members, bands=("red", "green", "blue")),
        }
        sidecars |= {*members, f"train_nir/nir_{patch}.TIF", f"train_gt/gt_{patch}.TIF"}
    write_files(root, dict.fromkeys(sidecars, b""))
    return Expected("scenes", images, frozenset(sidecars), options=_OPTIONS, recognised=False)
