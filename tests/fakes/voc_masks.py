# SPDX-License-Identifier: Apache-2.0
"""VOC with masks, angles and a file name of its own; the same names in two splits."""

from tests.fakes import Expected, write_files

_XML = (
    "<annotation><filename>{name}</filename><size><width>0</width><height>0</height></size>"
    "<object><name>plane</name><robndbox><cx>4</cx><cy>4</cy><w>6</w><h>2</h>"
    "<angle>90</angle></robndbox></object></annotation>"
)


def write(root):
    corners = (5.0, 1.0, 5.0, 7.0, 3.0, 7.0, 3.0, 1.0)
    images, files = {}, {}
    for split in ("train", "val"):
        image, mask = f"{split}/JPEGImages/a.jpg", f"{split}/SegmentationClass/a.png"
        files |= {image: None, mask: None, f"{split}/SegmentationObject/a.png": None}
        files[f"{split}/Annotations/0{split}.xml"] = _XML.format(name="a.jpg")
        images[image] = {
            "split": split,
            "mask_path": mask,
            "boxes": [("plane", 3.0, 1.0, 5.0, 7.0, corners)],
        }
    write_files(root, files)
    options = {"angle_unit": "degrees"}
    return Expected("voc", images, frozenset(set(files) - set(images)), options=options)
