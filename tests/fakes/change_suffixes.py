# SPDX-License-Identifier: Apache-2.0
"""Before and after told by the end of the name in one folder, masks in another."""

from tests.fakes import Expected, write_files

_OPTIONS = {
    "before_suffix": "_2016",
    "after_suffix": "_2018",
    "masks": "change",
    "mask_suffix": "_change",
}


def write(root):
    a, b, mask = "pictures/7_2016.tif", "pictures/7_2018.tif", "change/pictures/7_change.tif"
    images = {a: {"pair_path": b, "mask_path": mask}, b: {"pair_path": a, "mask_path": mask}}
    files = dict.fromkeys([*images, mask])
    write_files(root, files)
    return Expected("change_pairs", images, frozenset({mask}), options=_OPTIONS, recognised=False)
