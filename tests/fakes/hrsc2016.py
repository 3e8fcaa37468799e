# SPDX-License-Identifier: Apache-2.0
"""HRSC2016: its XML dialect, class names in sysdata.xml, masks that are no pictures."""

from tests.fakes import Expected, write_files

_SYSDATA = (
    "<HRSC_Sysdata><HRSC_Classes><HRSC_Class><Class_ID>100000001</Class_ID>"
    "<Class_EngName>ship</Class_EngName></HRSC_Class></HRSC_Classes></HRSC_Sysdata>"
)
_OBJECT = (
    "<HRSC_Object><Object_ID>1</Object_ID><Class_ID>{class_id}</Class_ID><truncated>0</truncated>"
    "<difficult>0</difficult><box_xmin>3</box_xmin><box_ymin>1</box_ymin><box_xmax>5</box_xmax>"
    "<box_ymax>7</box_ymax><mbox_cx>4</mbox_cx><mbox_cy>4</mbox_cy><mbox_w>6</mbox_w>"
    "<mbox_h>2</mbox_h><mbox_ang>0</mbox_ang></HRSC_Object>"
)
_IMAGE = (
    "<HRSC_Image><Img_ID>{number}</Img_ID><Img_FileName>{number}</Img_FileName>"
    "<Img_FileFmt>bmp</Img_FileFmt><Img_SizeWidth>8</Img_SizeWidth>"
    "<Img_SizeHeight>8</Img_SizeHeight><Img_Resolution>1.07</Img_Resolution>"
    "<Img_Location>32.6623,117.121053</Img_Location><Img_Date>2014-07-01</Img_Date>"
    "<HRSC_Objects>{objects}</HRSC_Objects></HRSC_Image>"
)


def write(root):
    splits = {"100000001": "train", "100000002": "val", "100000003": "test"}
    classes = {"100000001": "ship", "100000005": "100000005"}
    images, files = {}, {"FullDataSet/sysdata.xml": _SYSDATA}
    corners = (1.0, 3.0, 7.0, 3.0, 7.0, 5.0, 1.0, 5.0)
    boxes = [(name, 1.0, 3.0, 7.0, 5.0, corners) for name in classes.values()]
    for number, split in splits.items():
        objects = "".join(_OBJECT.format(class_id=key) for key in classes)
        empty = split == "val"
        path = f"FullDataSet/AllImages/{number}.bmp"
        files |= {path: None, f"FullDataSet/Segmentations/{number}.png": None}
        xml = _IMAGE.format(number=number, objects="" if empty else objects)
        files[f"FullDataSet/Annotations/{number}.xml"] = xml
        files[f"ImageSets/{split}.txt"] = f"{number}\n"
        # No place: the sign of the longitude is lost in the original.
        images[path] = {
            "split": split,
            "boxes": [] if empty else boxes,
            "gsd_m": 1.07,
            "acquired": "2014-07-01",
        }
    write_files(root, files)
    sidecars = set(files) - set(images) - {"FullDataSet/sysdata.xml"}
    return Expected("hrsc", images, frozenset(sidecars | {"FullDataSet/sysdata.xml"}))
