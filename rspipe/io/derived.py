"""Images that no single file is: mosaics, band stacks and HDF sub-datasets, made by GDAL on demand.

The product lies in the storage's cache under a fingerprint of what it is made of, so it is made
once, and again where the cache has gone.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rspipe.io import gdal_child
from rspipe.io.storage import Storage
from rspipe.recipe import fingerprint
from rspipe.schema import Derivation


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
    rule = Derivation.model_validate_json(derivation)
    if rule.kind == "subdatasets":
        yield _subdatasets(storage, path, rule)
        return
    with ExitStack() as stack:
        files = [stack.enter_context(storage.local_file(member)) for member in rule.members]
        # A virtual raster names its files: of copies that go away it must be made anew.
        product = _place(storage, path, rule, [str(file) for file in files], ".vrt")
        if not product.is_file():
            gdal_child.build_vrt(files, product, path, rule.kind == "stack", rule.nodata)
        yield product


def _subdatasets(storage: Storage, path: str, rule: Derivation) -> Path:
    container, *names = rule.members
    with storage.local_file(container) as file:
        stat = file.stat()
        product = _place(storage, path, rule, [stat.st_size], ".tif")
        if not product.is_file():
            gdal_child.extract_subdatasets(file, names, product, path, rule.nodata)
    return product


def _place(
    storage: Storage, path: str, rule: Derivation, source: list[object], suffix: str
) -> Path:
    folder = storage.cache / "derived"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{fingerprint(storage.root, path, rule, source)}{suffix}"
