# SPDX-License-Identifier: Apache-2.0
"""Does memory stay bounded: a 1 GB GeoTIFF, and a folder of 200,000 small tiles, curated whole.

`make bench-scale`. Writes both from NASA's Blue Marble into a temporary folder, curates each
through the command line on two workers, and samples the resident memory of every process. Prints
the seconds of each stage, the rates and the peaks; the last line is JSON.
"""

import argparse
import io
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import rasterio
from PIL import Image
from rasterio.windows import Window
from tqdm import tqdm

from pipelines.demo.world import World

_STAGE = re.compile(r"^  (\w+)\s+([\d,]+) partitions\s+([\d.]+) s")
RECIPE = """
name: scale
data: {root}/data
out: {root}/corpus
stages: {root}/stages
what:
  slice: {{tile_px: 256, stride_px: 256, larger_than_px: 512}}
how: {{workers: 2, dashboard: false}}
"""


def write_tiles(folder, count):
    """Real ground: 64-px crops at random places, turned and brightened, as JPEG files."""
    world = World.from_package().picture
    rng = np.random.default_rng(0)
    done = 0
    with tqdm(total=count, desc="write tiles", unit="tile") as bar:
        while done < count:
            y, x = rng.integers(200, world.shape[0] - 264), rng.integers(0, world.shape[1] - 64)
            crop = world[y : y + 64, x : x + 64]
            if crop[::4, ::4].std() < 10:
                continue
            crop = np.rot90(crop, rng.integers(4)) * rng.uniform(0.7, 1.2)
            buffer = io.BytesIO()
            pixels = np.clip(crop, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(buffer, "JPEG", quality=88)
            place = folder / f"{done // 2000:03d}" / f"{done:06d}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(buffer.getvalue())
            done += 1
            bar.update()


def write_scene(path, size_bytes):
    """A georeferenced uint16 scene of three bands, tiled, the Blue Marble magnified with relief."""
    world = World.from_package().picture.astype(np.uint16)
    side = int((size_bytes / 6) ** 0.5) // 512 * 512
    rng = np.random.default_rng(1)
    profile = {
        **{"driver": "GTiff", "dtype": "uint16", "count": 3, "height": side, "width": side},
        **{"tiled": True, "blockxsize": 512, "blockysize": 512, "crs": "EPSG:32633"},
        "transform": rasterio.Affine(0.5, 0, 4e5, 0, -0.5, 5e6),
        "photometric": "RGB",
    }
    path.parent.mkdir(parents=True)
    with rasterio.open(path, "w", **profile) as out:
        for y in tqdm(range(0, side, 512), "write scene", unit="row"):
            for x in range(0, side, 512):
                a, b = (y // 4) % 2000 + 300, (x // 4) % 5000
                patch = world[a : a + 128, b : b + 128].repeat(4, 0).repeat(4, 1) * 12
                patch = patch + rng.integers(0, 300, patch.shape, dtype=np.uint16)
                out.write(patch.transpose(2, 0, 1), window=Window(x, y, 512, 512))


def curate(root):
    """Curate a folder; seconds by stage, and peak resident bytes of driver and workers."""
    recipe = root / "curate.yaml"
    recipe.write_text(RECIPE.format(root=root))
    command = [sys.executable, "-m", "rspipe.cli", "curate", str(recipe)]
    started = time.monotonic()
    peaks = {}
    with (root / "log.txt").open("w") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log)
        while child.poll() is None:
            sample(child.pid, peaks)
            time.sleep(0.1)
    text = (root / "log.txt").read_text()
    if child.returncode:
        sys.exit(text[-4000:])
    stages = {m[1]: float(m[3]) for m in map(_STAGE.match, text.splitlines()) if m}
    driver = peaks.pop(child.pid)
    kept = json.loads((root / "corpus/manifest.json").read_text())["funnel"][-1]["kept"]
    return {
        "seconds": round(time.monotonic() - started, 1),
        "stages": stages,
        "kept_tiles": kept,
        "driver_gib": round(driver / 2**30, 2),
        "largest_worker_gib": round(max(peaks.values()) / 2**30, 2),
    }


def sample(pid, peaks):
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            peaks[process.pid] = max(peaks.get(process.pid, 0), process.memory_info().rss)
    except psutil.Error:
        return


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=200_000)
    parser.add_argument("--scene-bytes", type=int, default=1_000_000_000)
    options = parser.parse_args()
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "scene"
        path = root / "data/big/scene.tif"
        write_scene(path, options.scene_bytes)
        result["scene"] = {"size_bytes": path.stat().st_size} | curate(root)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "tiles"
        write_tiles(root / "data/small", options.tiles)
        result["tiles"] = {"files": options.tiles} | curate(root)
    for name, found in result.items():
        print(
            f"{name}: {found['seconds']} s, {found['kept_tiles']:,} tiles kept, driver "
            f"{found['driver_gib']} GiB, largest worker {found['largest_worker_gib']} GiB"
        )
        for stage, seconds in found["stages"].items():
            print(f"  {stage:<10} {seconds:>8.1f} s")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
