# SPDX-License-Identifier: Apache-2.0
"""Images that no single file is: mosaics, band stacks and HDF sub-datasets, made on demand.

The product lies in the storage's cache under a fingerprint of what it is made of, so it is made
once, and again where the cache has gone.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import rasterio

from rspipe.io import gdal_child
from rspipe.io.stacks import stack
from rspipe.io.storage import Storage
from rspipe.recipe import fingerprint
from rspipe.schema import Derivation

_VERSION = 1


@contextmanager
def local_raster(storage: Storage, path: str, derivation: str | None) -> Iterator[Path]:
    """Give a file of this machine that rasterio can open.

    Args:
        storage: the dataset's files.
        path: the image, as the ledger names it.
        derivation: JSON of a `Derivation`, or None where the image is a file.

    Raises:
        UnreadableImage: a file is missing or broken, or GDAL cannot make the product.
    """
    if derivation is None:
        with storage.local_file(path) as file:
            yield file
        return
    yield _product(storage, path, Derivation.model_validate_json(derivation))


def files_of(rule: Derivation) -> tuple[str, ...]:
    """Files that a product is made of, in the order that counts."""
    return rule.members[:1] if rule.kind == "subdatasets" else rule.members


def acquired(product: Path) -> str | None:
    """Return the first date that the container of a product of sub-datasets states."""
    with rasterio.open(product) as dataset:
        stated: str | None = dataset.tags().get("ACQUIRED")
    return stated


def _product(storage: Storage, path: str, rule: Derivation) -> Path:
    files = files_of(rule)
    # A virtual raster reads its files in place. Copies of members of an archive, or of objects in
    # a bucket, do not stay: then the product holds the pixels.
    virtual = rule.kind != "subdatasets" and all(map(storage.has_local, files))
    stamps = [storage.stamp(file) for file in files]
    folder = storage.cache / "derived"
    folder.mkdir(parents=True, exist_ok=True)
    name = fingerprint(_VERSION, storage.root, rule, stamps)
    product = folder / f"{name}{'.vrt' if virtual else '.tif'}"
    if not product.is_file():
        with ExitStack() as opened:
            local = {file: opened.enter_context(storage.local_file(file)) for file in files}
            _make(local, product, path, rule, virtual)
    return product


def _make(
    local: dict[str, Path], product: Path, path: str, rule: Derivation, virtual: bool
) -> None:
    if rule.kind == "subdatasets":
        container, *names = rule.members
        gdal_child.extract(
            local[container], names, product, path, nodata=rule.nodata, valid_range=rule.valid_range
        )
        return
    separate = rule.kind == "stack"
    if separate and stack(local, product, virtual=virtual, nodata=rule.nodata):
        return
    gdal_child.combine(
        local,
        product,
        path,
        separate=separate,
        virtual=virtual,
        nodata=rule.nodata,
    )
