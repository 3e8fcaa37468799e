# SPDX-License-Identifier: Apache-2.0
"""Flat folders whose file names begin with the class."""

from tests.fakes import Expected, write_files


def write(root):
    images = {
        "pictures/baseball_field_12.png": {"label": "baseball field"},
        "pictures/river (3).png": {"label": "river"},
        "pictures/harbour7.png": {"label": "harbour"},
    }
    write_files(root, dict.fromkeys(images))
    options = {"label_from": "prefix", "label_names": {"baseball_field": "baseball field"}}
    return Expected(
        "image_folder", images, options=options, recognised=False, task="classification"
    )
