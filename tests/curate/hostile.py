# SPDX-License-Identifier: Apache-2.0
"""More than 200 inputs that no publisher meant, and what must become of each.

An expectation is a drop reason, KEPT, or ANY: kept or dropped with a reason, but named. Most files
are damaged on purpose in every format, at every depth; pictures are noise over a ramp, so that no
two are alike and none is blank.
"""

import io
import json
import os
import struct
import tarfile
import warnings
import zipfile
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
from PIL import Image

KEPT, ANY = "kept", "any"
UNREADABLE = "unreadable"
FORMATS = {
    **{"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif", "BMP": ".bmp"},
    **{"WEBP": ".webp", "TIFF": ".tif", "JPEG2000": ".jp2"},
}
SIDE = 48


def pixels(seed, side=SIDE, bands=3, dtype=np.uint8):
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 120, side)[:, None, None] + np.linspace(0, 60, side)[None, :, None]
    values = ramp + rng.integers(0, 70, (side, side, bands))
    return values.astype(dtype)


def encoded(kind, seed, mode="RGB", **options):
    image = Image.fromarray(pixels(seed)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def write(root):
    """Write everything below `root/<set>/…`; returns {set/path: expectation}."""
    expected = {}
    for writer in (damaged, disguised, unusual, bombs, rasters, archives, labels, masks, odd_files):
        folder = root / writer.__name__
        folder.mkdir(parents=True)
        for path, fate in writer(folder).items():
            expected[f"{writer.__name__}/{path}"] = fate
    return expected


def damaged(root):
    """Every format cut at eight depths and with bytes flipped."""
    expected = {}
    seed = 0
    for kind, suffix in FORMATS.items():
        whole = encoded(kind, seed := seed + 1)
        for percent in (0, 1, 10, 25, 50, 75, 90, 99):
            name = f"{kind}_cut_{percent}{suffix}"
            (root / name).write_bytes(whole[: len(whole) * percent // 100])
            expected[name] = UNREADABLE if percent <= 10 else ANY
        for flip in range(6):
            data = bytearray(encoded(kind, seed := seed + 1))
            rng = np.random.default_rng(flip)
            for place in rng.integers(0, min(len(data), 200 * (flip + 1)), 8):
                data[place] ^= int(rng.integers(1, 256))
            name = f"{kind}_flipped_{flip}{suffix}"
            (root / name).write_bytes(bytes(data))
            expected[name] = ANY
    for kind, percent in (("JPEG", 50), ("PNG", 50), ("WEBP", 50), ("GIF", 25), ("BMP", 50)):
        expected[f"{kind}_cut_{percent}{FORMATS[kind]}"] = UNREADABLE
    return expected


def disguised(root):
    """Sound pictures under wrong names, and no pictures under picture names."""
    expected = {}
    seed = 1000
    for kind, own in FORMATS.items():
        for suffix in FORMATS.values():
            if suffix != own:
                name = f"{kind}_as_{suffix[1:]}{suffix}"
                (root / name).write_bytes(encoded(kind, seed := seed + 1))
                expected[name] = KEPT
    contents = {
        "empty": b"",
        "html": b"<!DOCTYPE html><html>404</html>",
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "text": b"just words\n" * 40,
        "zeros": bytes(5000),
    }
    for what, data in contents.items():
        for suffix in FORMATS.values():
            (root / f"{what}{suffix}").write_bytes(data)
            expected[f"{what}{suffix}"] = UNREADABLE
    return expected


def unusual(root):
    """Modes and containers that are sound but rare."""
    expected = {}

    def put(name, kind, mode="RGB", fate=KEPT, **options):
        (root / name).write_bytes(encoded(kind, 2000 + len(expected), mode, **options))
        expected[name] = fate

    put("cmyk.jpg", "JPEG", "CMYK")
    put("cmyk.tif", "TIFF", "CMYK", ANY)
    put("ycbcr.jpg", "JPEG", "YCbCr")
    put("progressive.jpg", "JPEG", progressive=True)
    put("grey.jpg", "JPEG", "L")
    put("palette.png", "PNG", "P")
    put("palette.gif", "GIF", "P")
    put("palette.tif", "TIFF", "P", ANY)
    put("one_bit.png", "PNG", "1")
    put("one_bit.tif", "TIFF", "1", ANY)
    put("alpha.png", "PNG", "RGBA")
    put("grey_alpha.png", "PNG", "LA")
    put("alpha.webp", "WEBP", "RGBA", lossless=True)
    put("lab.tif", "TIFF", "LAB", ANY)
    put("deflate.tif", "TIFF", compression="tiff_adobe_deflate")
    frames = [Image.fromarray(pixels(2100 + i)) for i in range(3)]
    for name, kind in (("animated.gif", "GIF"), ("animated.webp", "WEBP"), ("animated.png", "PNG")):
        frames[0].save(root / name, kind, save_all=True, append_images=frames[1:])
        expected[name] = KEPT if kind != "GIF" else ANY
        frames = frames[1:] + frames[:1]
    frames[0].save(root / "pages.tif", save_all=True, append_images=frames[1:])
    expected["pages.tif"] = ANY
    exif = Image.Exif()
    exif[0x0112] = 6
    put("turned_by_exif.jpg", "JPEG", exif=exif)
    grey16 = (pixels(2200, bands=1)[:, :, 0].astype(np.uint16)) * 200
    Image.fromarray(grey16).save(root / "grey16.png")
    expected["grey16.png"] = KEPT
    for name, side in (("tiny_1px.png", 1), ("tiny_7px.jpg", 7)):
        Image.fromarray(pixels(2300, side)).save(root / name)
        expected[name] = "too_small"
    for name, size in (("sliver.png", (1, 4000)), ("column.png", (4000, 1))):
        Image.fromarray(np.zeros((*size, 3), np.uint8)).save(root / name)
        expected[name] = "too_small"
    return expected


def _png(height, width, data=b"", extra=b""):
    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def bombs(root):
    """Little files that declare much."""
    files = {
        "declares_60000.png": _png(60_000, 60_000, zlib.compress(bytes(1000))),
        "declares_9000.png": _png(9_000, 9_000, zlib.compress(bytes(1000))),
        "declares_11000_full.png": _png(11_000, 11_000, zlib.compress(bytes(11_000 * 33_001), 9)),
        "jpeg_65500.jpg": _resized_jpeg(65_500, 65_500),
        "jpeg_9000.jpg": _resized_jpeg(9_000, 9_000),
        "gif_65535.gif": b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + b";",
        "bmp_100000.bmp": _bmp(100_000, 100_000),
        "tiff_200000.tif": _tiff(200_000, 200_000),
        "tiff_no_offsets.tif": b"II*\x00\xff\xff\xff\x7f",
        "tiff_loop.tif": b"II*\x00\x08\x00\x00\x00" + b"\x00\x00" + b"\x08\x00\x00\x00",
    }
    files["text_bomb.png"] = _png(
        SIDE, SIDE, zlib.compress(bytes(SIDE * (SIDE * 3 + 1))), _ztxt(b"a" * 100_000_000)
    )
    for name, data in files.items():
        (root / name).write_bytes(data)
    expected = dict.fromkeys(files, UNREADABLE)
    expected["tiff_200000.tif"] = "too_many_pixels"
    # A sound picture of nothing, 121 megapixels in 1 MB, read by windows.
    expected["declares_11000_full.png"] = ANY
    expected["text_bomb.png"] = ANY
    return expected


def _ztxt(text):
    body = b"Comment\x00\x00" + zlib.compress(text, 9)
    return (
        struct.pack(">I", len(body))
        + b"zTXt"
        + body
        + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    )


def _resized_jpeg(height, width):
    data = bytearray(encoded("JPEG", 3000))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def _bmp(height, width):
    data = bytearray(encoded("BMP", 3001))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def _tiff(height, width):
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1)]
    tags += [(278, height), (279, 2**31 - 1)]
    body = struct.pack("<H", len(tags))
    body += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\x00\x08\x00\x00\x00" + body + bytes(4)


def rasters(root):
    """GeoTIFFs of every kind of value."""
    expected = {}

    def put(name, values, fate, **profile):
        bands, height, width = values.shape
        base = {"driver": "GTiff", "count": bands, "height": height, "width": width}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rasterio.open(root / name, "w", dtype=values.dtype, **(base | profile)) as out:
                out.write(values)
        expected[name] = fate

    def values(seed, bands=3, dtype=np.uint16):
        return (pixels(seed, 64, bands).astype(np.float64) * 10).transpose(2, 0, 1).astype(dtype)

    nan = np.full((3, 64, 64), np.nan, np.float32)
    put("all_nan.tif", nan, "wrong_bands")
    put("some_nan.tif", np.where(values(1) > 900, np.nan, values(1)).astype(np.float32), ANY)
    put("infinite.tif", np.full((3, 64, 64), np.inf, np.float32), "wrong_bands")
    put("no_crs.tif", values(2), KEPT)
    put("all_nodata.tif", np.zeros((3, 64, 64), np.uint16), ANY, nodata=0)
    put("constant.tif", np.full((3, 64, 64), 7, np.uint16), "blank")
    put("complex.tif", values(3, 1, np.complex64), "wrong_bands")
    put("int16.tif", values(4, 1, np.int16), "wrong_bands")
    put("float64.tif", values(5, 3, np.float64), "wrong_bands")
    put("int32.tif", values(6, 3, np.int32), "wrong_bands")
    put("two_bands.tif", values(7, 2), "wrong_bands")
    put("seven_bands.tif", values(8, 7), "wrong_bands")
    put("uint16.tif", values(9), KEPT)
    put("uint16_grey.tif", values(10, 1), KEPT)
    put("bad_crs.tif", values(11), ANY, crs="EPSG:32633", transform=(1e30, 0, 1e30, 0, -1e30, 1e30))
    put("off_earth.tif", values(12), ANY, crs="EPSG:4326", transform=(1, 0, 9e9, 0, -1, 9e9))
    return expected


def _zip(path, members, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = options.get("attributes", 0) << 16
            archive.writestr(info, data, zipfile.ZIP_DEFLATED)


def _tar(path, members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def _info(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def archives(root):
    """Archives that attack, lie, or are broken."""
    good = [encoded("PNG", 4000 + i) for i in range(20)]
    expected = {}

    def inside(archive, fates):
        expected[archive] = "sidecar"
        expected.update({f"{archive}/{name}": fate for name, fate in fates.items()})

    _zip(root / "slip.zip", [("../../escaped.png", good[0]), ("a/ok.png", good[1])])
    inside("slip.zip", {"../../escaped.png": UNREADABLE, "a/ok.png": KEPT})
    _zip(root / "absolute.zip", [("/tmp/rspipe-escaped.png", good[2])])
    inside("absolute.zip", {"/tmp/rspipe-escaped.png": UNREADABLE})
    _zip(root / "backslash.zip", [("..\\..\\escaped.png", good[3])])
    _zip(root / "link.zip", [("link.png", b"/etc/passwd")], attributes=0o120777)
    inside("link.zip", {"link.png": UNREADABLE})
    _zip(root / "bomb.zip", [("bomb.png", bytes(400_000_000)), ("ok.png", good[4])])
    inside("bomb.zip", {"bomb.png": UNREADABLE, "ok.png": KEPT})
    _zip(root / "double.zip", [("a.png", good[5]), ("a.png", good[6])])
    _zip(root / "empty.zip", [])
    expected["empty.zip"] = "not_an_image"
    whole = (root / "slip.zip").read_bytes()
    (root / "cut.zip").write_bytes(whole[: len(whole) // 2])
    (root / "words.zip").write_bytes(b"no archive at all")
    (root / "nothing.zip").write_bytes(b"")
    expected |= dict.fromkeys(("cut.zip", "words.zip", "nothing.zip"), UNREADABLE)
    broken = bytearray(whole)
    broken[200:260] = bytes(60)
    (root / "wrong_checksum.zip").write_bytes(bytes(broken))
    expected["wrong_checksum.zip"] = ANY
    _zip(root / "nested.zip", [("inner.zip", whole), ("ok.png", good[7])])
    inside("nested.zip", {"inner.zip": "not_an_image", "ok.png": KEPT})
    _tar(
        root / "evil.tar",
        [
            (_info("../../escaped.png"), good[8]),
            (_info("/tmp/rspipe-escaped.png"), good[9]),
            (_info("soft.png", tarfile.SYMTYPE, "/etc/passwd"), b""),
            (_info("hard.png", tarfile.LNKTYPE, "ok.png"), b""),
            (_info("device.png", tarfile.CHRTYPE), b""),
            (_info("pipe.png", tarfile.FIFOTYPE), b""),
            (_info("ok.png"), good[10]),
        ],
    )
    names = ("../../escaped.png", "/tmp/rspipe-escaped.png", "soft.png", "hard.png", "device.png")
    inside("evil.tar", dict.fromkeys((*names, "pipe.png"), UNREADABLE) | {"ok.png": KEPT})
    _tar(root / "bomb.tgz", [(_info("bomb.bin"), bytes(1_200_000_000))], "w:gz")
    expected["bomb.tgz"] = UNREADABLE
    _tar(root / "good.tar.xz", [(_info("ok.png"), good[11])], "w:xz")
    inside("good.tar.xz", {"ok.png": KEPT})
    packed = (root / "good.tar.xz").read_bytes()
    (root / "cut.tar.xz").write_bytes(packed[: len(packed) // 2])
    (root / "words.tar").write_bytes(b"no archive " * 100)
    (root / "cut.tar").write_bytes((root / "evil.tar").read_bytes()[:700])
    expected |= {"cut.tar.xz": UNREADABLE, "words.tar": UNREADABLE, "cut.tar": ANY}
    for archive, fates in _parquet_files(root, good[12:]).items():
        inside(archive, fates)
    (root / "words.parquet").write_bytes(b"PAR1 no it is not PAR1")
    whole = (root / "pictures.parquet").read_bytes()
    (root / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    expected |= {"words.parquet": UNREADABLE, "cut.parquet": UNREADABLE}
    pq.write_table(pa.table({"x": [1, 2]}), root / "numbers.parquet")
    expected["numbers.parquet"] = "not_an_image"
    return expected


def _parquet_files(root, good):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [good[0], b"", None, b"junk", good[1]]
    column = pa.array([c if c is None else {"bytes": c, "path": None} for c in cells], kind)
    pq.write_table(pa.table({"image": column}), root / "pictures.parquet")
    fates = (KEPT, UNREADABLE, UNREADABLE, UNREADABLE, KEPT)
    return {"pictures.parquet": {f"{i:08d}/image": fate for i, fate in enumerate(fates)}}


ENTITY_BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9))
    + "]><annotation><object><name>&j;</name></object></annotation>"
)
EXTERNAL_ENTITY = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    "<annotation><object><name>&x;</name></object></annotation>"
)


def labels(root):
    """Annotation files that attack or are broken, each beside a sound image of its name."""
    expected = {}
    box = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"

    def voc(inner):
        return f"<annotation><object><name>ship</name>{inner}</object></annotation>"

    texts = {
        "entity_bomb": (ENTITY_BOMB, "bad_annotation"),
        "external_entity": (EXTERNAL_ENTITY, "bad_annotation"),
        "broken": ("<annotation><object>", "bad_annotation"),
        "empty": ("", "bad_annotation"),
        "no_box": (voc(""), ANY),
        "outside": (voc(box.format(-50, -50, 900, 900)), ANY),
        "far_outside": (voc(box.format(500, 500, 900, 900)), ANY),
        "backwards": (voc(box.format(30, 30, 10, 10)), ANY),
        "not_a_number": (voc(box.format("nan", 0, 5, 5)), ANY),
        "words": (voc(box.format("a", "b", "c", "d")), ANY),
        "huge": (voc(box.format(0, 0, "1e308", "9" * 400)), ANY),
        "deep": ("<annotation>" + "<a>" * 100_000, "bad_annotation"),
        "binary": ("\x00\x01\x02" * 50, "bad_annotation"),
    }
    (root / "JPEGImages").mkdir()
    (root / "Annotations").mkdir()
    for index, (name, (text, fate)) in enumerate(texts.items()):
        (root / f"JPEGImages/{name}.png").write_bytes(encoded("PNG", 5000 + index))
        (root / f"Annotations/{name}.xml").write_text(text)
        expected[f"JPEGImages/{name}.png"] = KEPT
        expected[f"Annotations/{name}.xml"] = fate
    jsons = {
        "deep.json": "[" * 200_000,
        "broken.json": '{"images": [',
        "numbers.json": json.dumps([1, 2, 3]),
    }
    for name, text in jsons.items():
        (root / name).write_text(text)
        expected[name] = ANY
    return expected


def masks(root):
    """Masks that do not fit their image."""
    (root / "images").mkdir()
    (root / "masks").mkdir()
    cut = encoded("PNG", 6100)[:150]
    wrong = {
        "other_size": encoded("PNG", 6101, "L")[:],
        "cut": cut,
        "words": b"no mask",
        "colours": encoded("PNG", 6102),
    }
    expected = {}
    for index, (name, data) in enumerate(wrong.items()):
        picture = Image.fromarray(pixels(6000 + index, 64 if name == "other_size" else SIDE))
        picture.save(root / f"images/{name}.png")
        (root / f"masks/{name}.png").write_bytes(data)
        expected[f"images/{name}.png"] = "bad_annotation"
        expected[f"masks/{name}.png"] = "sidecar"
    expected["images/colours.png"] = KEPT
    (root / "images/lonely.png").write_bytes(encoded("PNG", 6200))
    expected["images/lonely.png"] = KEPT
    return expected


def odd_files(root):
    """What a file system can hold beside pictures."""
    expected = {}
    names = ("new\nline.png", "ü name with spaces .PNG", "-dash.png", "a" * 240 + ".png", "%41.png")
    for index, name in enumerate(names):
        (root / name).write_bytes(encoded("PNG", 7000 + index))
        expected[name] = KEPT
    (root / ".png").write_bytes(encoded("PNG", 7100))
    expected[".png"] = ANY
    (root / "folder.jpg").mkdir()
    (root / "folder.jpg/inner.png").write_bytes(encoded("PNG", 7101))
    expected["folder.jpg/inner.png"] = KEPT
    (root / "dead.png").symlink_to(root / "nowhere.png")
    (root / "loop.png").symlink_to(root / "loop.png")
    os.mkfifo(root / "pipe.png")
    # The first is larger than what may be read whole.
    for suffix, size_bytes in ((".jpg", 1_200_000_000), (".tif", 10**8), (".dat", 10**10)):
        with (root / f"sparse{suffix}").open("wb") as out:
            out.truncate(size_bytes)
        expected[f"sparse{suffix}"] = UNREADABLE if suffix != ".dat" else "not_an_image"
    expected |= dict.fromkeys(("dead.png", "loop.png", "pipe.png"), UNREADABLE)
    return expected
