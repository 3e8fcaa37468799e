# SPDX-License-Identifier: Apache-2.0
"""MODIS products in HDF4, and other containers of sub-datasets (HDF5, netCDF), through GDAL.

An image is three sub-datasets of one container, named here for the MODIS products that hold red,
green and blue, or by the card. The 250 m products (MOD09GQ, MOD09Q1) have no green: no picture.
Source of fill values, ranges and scales: the files themselves (their attributes `_FillValue`,
`valid_range`, `scale_factor`; MOD09 states the divisor, so 10000 there is 0.0001 here), and the
MODIS Surface Reflectance User's Guide, collections 6 and 6.1.
"""

import re
from collections.abc import Mapping
from datetime import date, timedelta

from pydantic import ValidationError

from rspipe.errors import RecipeError
from rspipe.readers.base import Listing, record
from rspipe.readers.tree import FileTree
from rspipe.recipe import Strict
from rspipe.schema import DatasetCard, Derivation, Geography, ImageRecord

CONTAINERS = (".hdf", ".hdf4", ".h4", ".hdf5", ".h5", ".he5", ".nc", ".nc4")
_NAME = re.compile(r"(?P<product>M[OYC]D\w+)\.A(?P<year>\d{4})(?P<day>\d{3})\.")
_PLATFORMS = {"MOD": "Terra MODIS", "MYD": "Aqua MODIS", "MCD": "Terra and Aqua MODIS"}
_BANDS = ("red", "green", "blue")
_MEANING = ("nodata", "valid_range", "scale", "offset", "unit")


class Product(Strict):
    """The sub-datasets that make a picture, and what their raw values mean."""

    subdatasets: tuple[str, ...]
    """Last parts of their names: red, green, blue, or one grey."""
    nodata: float | None = None
    valid_range: tuple[float, float] | None = None
    scale: float | None = None
    offset: float | None = None
    unit: str | None = None

    def derivation(self, path: str) -> Derivation:
        """Say how the image of a container is made."""
        return Derivation(
            kind="subdatasets",
            members=(path, *self.subdatasets),
            bands=_BANDS if len(self.subdatasets) == 3 else ("grey",),
            nodata=self.nodata,
            valid_range=self.valid_range,
            scale=self.scale,
            offset=self.offset,
            unit=self.unit,
        )


def _modis(pattern: str, fill: float, low: float, high: float) -> Product:
    # MODIS numbers its bands by use: 1 is red, 4 is green, 3 is blue.
    names = tuple(pattern.format(band) for band in (1, 4, 3))
    return Product(
        subdatasets=names,
        nodata=fill,
        valid_range=(low, high),
        scale=0.0001,
        offset=0.0,
        unit="reflectance",
    )


_DAILY = _modis("sur_refl_b{:02d}_1", -28672, -100, 16000)
_EIGHT_DAYS = _modis("sur_refl_b{:02d}", -28672, -100, 16000)
_COARSE = _modis("Coarse Resolution Surface Reflectance Band {}", -28672, -100, 16000)
_NADIR = _modis("Nadir_Reflectance_Band{}", 32767, 0, 32766)
PRODUCTS: Mapping[str, Product] = {
    "MOD09GA": _DAILY,
    "MYD09GA": _DAILY,
    "MOD09A1": _EIGHT_DAYS,
    "MYD09A1": _EIGHT_DAYS,
    "MOD09CMG": _COARSE,
    "MYD09CMG": _COARSE,
    "MCD43A4": _NADIR,
}


class ModisHdf:
    """One image per container; the date is the one in its name, or the one it states itself.

    Card options, for containers that the table of products does not know:

    subdatasets: {red: NAME, green: NAME, blue: NAME} or {grey: NAME}, the last part of each name.
    nodata, valid_range ([low, high]), scale, offset, unit: what raw values mean, where the
        container does not say. Values outside the range become no data.
    """

    name = "modis_hdf"
    options: tuple[str, ...] = ("subdatasets", *_MEANING)

    def recognises(self, tree: FileTree) -> bool:
        """Some container has the name of a known product."""
        return any(_product_of(path) for path in tree.with_suffix(*CONTAINERS))

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List the containers that hold a picture; the others keep no reader's word."""
        declared = _declared(card)
        images = {}
        for path in tree.with_suffix(*CONTAINERS):
            product = declared or _product_of(path)
            if product is not None:
                images[path] = _image(path, product, card)
        companions = (
            path for path in tree.paths if path.lower().endswith((".hdf.xml", ".cmr.xml"))
        )
        return Listing(images, dict.fromkeys(companions, "metadata of a container"))


def _image(path: str, product: Product, card: DatasetCard) -> ImageRecord:
    said = record(path, card)
    match = _NAME.search(path.rpartition("/")[2])
    where = Geography()
    if match:
        day = date(int(match["year"]), 1, 1) + timedelta(days=int(match["day"]) - 1)
        where = Geography(acquired=day.isoformat(), sensor=_PLATFORMS[match["product"][:3]])
    return said.model_copy(update={"geography": where, "derivation": product.derivation(path)})


def _product_of(path: str) -> Product | None:
    match = _NAME.search(path.rpartition("/")[2])
    return PRODUCTS.get(match["product"]) if match else None


def _declared(card: DatasetCard) -> Product | None:
    """Read the product that a card describes.

    Raises:
        RecipeError: its sub-datasets are neither red, green and blue nor grey.
    """
    names = card.options.get("subdatasets")
    if names is None:
        return None
    if not isinstance(names, Mapping) or set(names) not in ({*_BANDS}, {"grey"}):
        given = ", ".join(names) if isinstance(names, Mapping) else repr(names)
        raise RecipeError(
            f"card {card.name!r}: subdatasets names {given}; want red, green and blue, or grey"
        )
    rules = {key: card.options[key] for key in _MEANING if key in card.options}
    if isinstance(rules.get("valid_range"), list):
        rules["valid_range"] = tuple(rules["valid_range"])
    bands = _BANDS if "red" in names else ("grey",)
    try:
        return Product.model_validate({"subdatasets": tuple(names[b] for b in bands), **rules})
    except ValidationError as error:
        raise RecipeError(f"card {card.name!r}: {error.errors()[0]['loc'][0]}: {error}") from error
