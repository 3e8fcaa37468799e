# SPDX-License-Identifier: Apache-2.0
"""What the keys of the ledger mean, in words for readers."""

STAGES = {
    "ingest": "every file below the sources is listed, and images are opened",
    "exclude": "rules on header, card and split, before pixels are decoded",
    "slice": "large images are cut into tiles, and every tile is measured",
    "screen": "tiles whose pixels are worth nothing: blank, without data, blurred",
    "dedup": "tiles that are the same picture, in any of 8 orientations",
    "leakage": "tiles that are a picture of a held-out benchmark",
    "pack": "written to shards",
}
REASONS = {
    "sidecar": "labels, masks and documents",
    "not_an_image": "not an image",
    "unreadable": "unreadable",
    "bad_annotation": "unusable annotation",
    "wrong_bands": "no visible bands",
    "too_small": "too small",
    "too_large": "too large",
    "too_many_pixels": "declares too many pixels",
    "dtype_not_allowed": "data type not allowed",
    "aspect_ratio": "too narrow",
    "gsd_not_allowed": "ground sample distance not allowed",
    "cloudy": "too many clouds",
    "not_redistributable": "may not be passed on",
    "no_stretch": "no rule makes 8 bits of it",
    "saturated": "overexposed",
    "black": "mostly black",
    "too_dark": "too dark",
    "too_bright": "too bright",
    "low_contrast": "too little contrast",
    "blurred": "blurred",
    "licence_not_allowed": "licence not allowed",
    "split_not_allowed": "split not allowed",
    "benchmark_split": "held-out benchmark",
    "blank": "blank",
    "nodata": "mostly without data",
    "duplicate_bytes": "same file, byte for byte",
    "duplicate_pixels": "same pixels in another file",
    "near_duplicate": "nearly the same picture",
    "duplicate_image": "cut from a copy of an image",
    "overlapping_crop": "mostly the same window of one image",
    "same_footprint": "the same ground on the same day",
    "benchmark_leak": "a benchmark's picture",
}
ORIENTATIONS = {
    "identity": "same way up",
    "rot90": "turned 90° counter-clockwise",
    "rot180": "turned 180°",
    "rot270": "turned 90° clockwise",
    "flip_lr": "mirrored left to right",
    "flip_ud": "mirrored top to bottom",
    "transpose": "mirrored at the main diagonal",
    "transverse": "mirrored at the other diagonal",
}


def of_reason(reason: str) -> str:
    """Say a drop reason in words; a reason without words speaks for itself.

    >>> of_reason("near_duplicate"), of_reason("too_hazy")
    ('nearly the same picture', 'too hazy')
    """
    return REASONS.get(reason, reason.replace("_", " "))
