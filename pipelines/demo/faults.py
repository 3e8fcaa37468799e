# SPDX-License-Identifier: Apache-2.0
"""Plants the faults of a real download in demo_chips, and lists them as the curator should.

Each fault is a file of its own with a telling but innocent name. A copy is made of a chip with
texture (grey std > 20), each of another one, so that no two faults meet in one cluster.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from pipelines.demo.regions import generator
from pipelines.demo.sources import grey_std
from pipelines.demo.world import Pixels
from pipelines.demo.writing import encode_jpeg, encode_png, write_bytes

DATASET = "demo_chips"
MIN_ORIGINAL_GREY_STD = 20.0
TRUNCATED_SHARE = 0.6
SMALL_PX = 24
BLANK_PX = 64
COPY_QUALITY = 80
PREVIEW_QUALITY = 60

ERROR_PAGE = b"""<!DOCTYPE html>
<html><head><title>404 Not Found</title></head>
<body><h1>Not Found</h1><p>The requested image was not found on this server.</p></body></html>
"""
README = b"""Gallery download. See dataset.yaml for the licence and the attribution.
"""
# The first bytes of an OLE2 compound file, which Windows writes beside pictures.
THUMBS_DB = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504)

Turn = Image.Transpose


@dataclass(frozen=True, order=True)
class Planted:
    """One planted file and the line of the ledger that must name it."""

    dataset: str
    source_path: str
    fault: str
    stage: str
    reason: str
    original: str | None = None


class Gallery:
    """The folder of demo_chips, and the chips in it that may be copied or spoiled."""

    def __init__(self, folder: Path, chip_paths: Iterable[str]) -> None:
        self.folder = folder
        paths = sorted(chip_paths)
        order = generator("faults").permutation(len(paths))
        self._unused = iter([paths[index] for index in order])

    def take_original(self) -> str:
        """Path of a chip with texture that no other fault uses.

        Raises:
            StopIteration: there are fewer textured chips than faults.
        """
        original: str = next(path for path in self._unused if self._is_textured(path))
        return original

    def _is_textured(self, path: str) -> bool:
        return grey_std(self.pixels(path)) > MIN_ORIGINAL_GREY_STD

    def pixels(self, path: str) -> Pixels:
        """Decoded chip, uint8 (H, W, 3)."""
        return decode(self.folder / path)

    def write(self, path: str, content: bytes) -> None:
        """Add a file."""
        write_bytes(self.folder / path, content)


def decode(path: Path) -> Pixels:
    """Pixels of an image file, uint8 (H, W, 3)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def plant_faults(native: Path, chip_paths: Iterable[str]) -> list[Planted]:
    """Add all faults to `native/demo_chips`; the benchmarks must have been written before."""
    gallery = Gallery(native / DATASET, chip_paths)
    return sorted(
        [
            *plant_broken_files(gallery),
            *plant_exact_copies(gallery),
            *plant_turned_copies(gallery),
            *plant_reencoded_copies(gallery),
            *plant_blank_tiles(gallery),
            *plant_sidecars(gallery),
            *plant_leaks(gallery, native),
        ]
    )


def plant_broken_files(gallery: Gallery) -> Iterator[Planted]:
    """A cut-off JPEG, an error page, an empty file, and an image too small to use."""
    cut = gallery.take_original()
    whole = (gallery.folder / cut).read_bytes()
    gallery.write("gallery/partial_download.jpg", whole[: int(len(whole) * TRUNCATED_SHARE)])
    yield Planted(
        DATASET,
        "gallery/partial_download.jpg",
        "truncated_jpeg",
        "slice",
        "unreadable",
        f"{DATASET}/{cut}",
    )
    gallery.write("gallery/page_not_found.jpg", ERROR_PAGE)
    yield Planted(DATASET, "gallery/page_not_found.jpg", "html_error_page", "ingest", "unreadable")
    gallery.write("gallery/empty_download.jpg", b"")
    yield Planted(DATASET, "gallery/empty_download.jpg", "zero_bytes", "ingest", "unreadable")
    small = gallery.take_original()
    icon = gallery.pixels(small)[:SMALL_PX, :SMALL_PX]
    gallery.write("gallery/icon.jpg", encode_jpeg(icon))
    yield Planted(
        DATASET, "gallery/icon.jpg", "tiny_image", "exclude", "too_small", f"{DATASET}/{small}"
    )


def plant_exact_copies(gallery: Gallery) -> Iterator[Planted]:
    """Three chips under a second name, one of them in another folder."""
    for path in ("gallery/same_again_1.jpg", "gallery/same_again_2.jpg", "mirror/same.jpg"):
        original = gallery.take_original()
        gallery.write(path, (gallery.folder / original).read_bytes())
        yield Planted(
            DATASET, path, "exact_copy", "dedup", "duplicate_bytes", f"{DATASET}/{original}"
        )


def plant_turned_copies(gallery: Gallery) -> Iterator[Planted]:
    """Four rotated or flipped chips, encoded anew, one of them as PNG."""
    turns = (
        ("gallery/turned_90.jpg", "rotated_90", Turn.ROTATE_90),
        ("gallery/turned_180.jpg", "rotated_180", Turn.ROTATE_180),
        ("gallery/flipped.jpg", "flipped_horizontally", Turn.FLIP_LEFT_RIGHT),
        ("gallery/transposed.png", "transposed", Turn.TRANSPOSE),
    )
    for path, fault, turn in turns:
        original = gallery.take_original()
        turned = transpose(gallery.pixels(original), turn)
        encoded = encode_png(turned) if path.endswith("png") else encode_jpeg(turned, COPY_QUALITY)
        gallery.write(path, encoded)
        yield Planted(DATASET, path, fault, "dedup", "near_duplicate", f"{DATASET}/{original}")


def transpose(pixels: Pixels, turn: Image.Transpose) -> Pixels:
    """One of the flips and rotations of a square."""
    return np.asarray(Image.fromarray(pixels).transpose(turn))


def plant_reencoded_copies(gallery: Gallery) -> Iterator[Planted]:
    """Three chips in low quality: a little brighter, a little smaller, a little larger."""
    changes: tuple[tuple[str, str, Callable[[Image.Image], Image.Image]], ...] = (
        ("gallery/preview_bright.jpg", "brighter", lambda image: brighten(image, 1.06)),
        ("gallery/preview_small.jpg", "resized_0.9", lambda image: resize(image, 0.9)),
        ("gallery/preview_large.jpg", "resized_1.25", lambda image: resize(image, 1.25)),
    )
    for path, fault, change in changes:
        original = gallery.take_original()
        changed = np.asarray(change(Image.fromarray(gallery.pixels(original))))
        gallery.write(path, encode_jpeg(changed, PREVIEW_QUALITY))
        # Of two copies the curator keeps the larger: the enlarged one drives out its original.
        goes, stays = (original, path) if fault == "resized_1.25" else (path, original)
        yield Planted(DATASET, goes, fault, "dedup", "near_duplicate", f"{DATASET}/{stays}")


def brighten(image: Image.Image, factor: float) -> Image.Image:
    """Multiply all values."""
    return ImageEnhance.Brightness(image).enhance(factor)


def resize(image: Image.Image, factor: float) -> Image.Image:
    """Multiply both sides."""
    height_px, width_px = round(image.height * factor), round(image.width * factor)
    return image.resize((width_px, height_px), Image.Resampling.BICUBIC)


def plant_blank_tiles(gallery: Gallery) -> Iterator[Planted]:
    """Black, white, one blue, and one grey with a noise of one level."""
    shape = (BLANK_PX, BLANK_PX, 3)
    noise = generator("blank").integers(-1, 2, size=shape)
    blanks = {
        "blank_black": np.zeros(shape, np.uint8),
        "blank_white": np.full(shape, 255, np.uint8),
        "blank_blue": np.full(shape, (20, 40, 110), np.uint8),
        "blank_noise": (128 + noise).astype(np.uint8),
    }
    for fault, pixels in blanks.items():
        path = f"gallery/{fault}.jpg"
        gallery.write(path, encode_jpeg(pixels, quality=95))
        yield Planted(DATASET, path, fault, "screen", "blank")


def plant_sidecars(gallery: Gallery) -> Iterator[Planted]:
    """Files that lie beside the images of any download."""
    gallery.write("gallery/Thumbs.db", THUMBS_DB)
    yield Planted(DATASET, "gallery/Thumbs.db", "thumbnail_cache", "ingest", "not_an_image")
    gallery.write("readme.txt", README)
    yield Planted(DATASET, "readme.txt", "readme", "ingest", "sidecar")
    yield Planted(DATASET, "dataset.yaml", "card", "ingest", "sidecar")


def plant_leaks(gallery: Gallery, native: Path) -> Iterator[Planted]:
    """Two test images of the benchmarks: one as it is, one rotated and encoded anew."""
    coast = textured_test_image(native, "demo_coasts", "test/*/*.jpg")
    gallery.write("gallery/guest_coast.jpg", (native / coast).read_bytes())
    yield Planted(
        DATASET, "gallery/guest_coast.jpg", "leak_bytes", "leakage", "benchmark_leak", coast
    )
    cover = textured_test_image(native, "demo_landcover", "test/images/*.png")
    turned = transpose(decode(native / cover), Turn.ROTATE_90)
    gallery.write("gallery/guest_cover.jpg", encode_jpeg(turned, COPY_QUALITY))
    yield Planted(
        DATASET, "gallery/guest_cover.jpg", "leak_rotated", "leakage", "benchmark_leak", cover
    )


def textured_test_image(native: Path, dataset: str, pattern: str) -> str:
    """A test image with texture, as `dataset/source_path`."""
    paths = sorted((native / dataset).glob(pattern))
    order = generator(f"leak {dataset}").permutation(len(paths))
    shuffled = (paths[index] for index in order)
    chosen: Path = next(path for path in shuffled if grey_std(decode(path)) > MIN_ORIGINAL_GREY_STD)
    return chosen.relative_to(native).as_posix()


def write_planted(planted: Iterable[Planted], path: Path) -> None:
    """Write the list beside the data sets, never inside one."""
    buffer = io.StringIO()
    json.dump([asdict(row) for row in planted], buffer, indent=2)
    path.write_text(buffer.getvalue() + "\n")
