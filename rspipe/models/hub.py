# SPDX-License-Identifier: Apache-2.0
"""Export to the folder that timm, transformers and the Hugging Face hub read, without rspipe."""

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from rspipe import __version__
from rspipe.errors import WeightsError
from rspipe.models.checkpoint import HUB_CARD, HUB_CONFIG, HUB_WEIGHTS
from rspipe.models.encoder import Encoder
from rspipe.models.origin import Origin
from rspipe.models.weights import write_weights

_README = """\
---
library_name: timm
license: other
license_name: see-licences-below
tags: [image-feature-extraction, remote-sensing, timm, transformers, rspipe]
---
# {{ name }}

A vision transformer: timm's `{{ architecture }}` with the arguments in `config.json`. \
Patch {{ config.patch_px }} px, images {{ config.size_px[0] }} x {{ config.size_px[1] }} px, \
width {{ config.width }}, {{ config.depth }} blocks of {{ config.heads }} heads. \
Written by rspipe {{ version }}.

## Load it

```python
import timm

# This folder; on the hub it is "hf-hub:<owner>/<name>".
model = timm.create_model("local-dir:{{ folder }}", pretrained=True).eval()
data = timm.data.resolve_model_data_config(model)
transform = timm.data.create_transform(**data, is_training=False)
features = model.forward_features(transform(picture)[None])  # class token, then the patches
```

```python
from transformers import AutoModel

model = AutoModel.from_pretrained("{{ folder }}")
features = model(pixel_values).last_hidden_state
```

With rspipe, `rspipe weights import {{ folder }} OUT` makes the folder that evaluation reads.

## What it reads

8-bit images, 0..255, divided by 255, standardised per band; other sizes are resized, \
bilinear and antialiased.

| band | mean | standard deviation |
|---|---:|---:|
{% for band, mean, std in bands -%}
| {{ band }} | {{ mean }} | {{ std }} |
{% endfor %}
`config.json` notes features of a made image under `{{ card_key }}.golden`; rspipe compares them \
whenever it loads this folder.

## Where it comes from

{% if origin.objective -%}
Pre-trained with {{ origin.objective }}, {{ "{:,}".format(origin.images_seen) }} images seen, \
code {{ origin.code_commit or "of an unknown commit" }}, run `{{ origin.fingerprint }}`, \
corpus `{{ origin.corpus_fingerprint }}`.

<details><summary>Recipe</summary>

```json
{{ origin.recipe }}
```

</details>
{% else -%}
{{ origin.note }}
{% endif %}
## Licences

{% if origin.licences -%}
The corpus holds tiles under these licences; whether weights inherit their terms is for the reader \
to judge.

| licence of the tiles | tiles |
|---|---:|
{% for licence, tiles in origin.licences -%}
| {{ licence }} | {{ "{:,}".format(tiles) }} |
{% endfor %}
{% else -%}
The licences of the training images are not known here; see where the weights come from. Weights \
of MAE and CrossMAE are published under CC BY-NC 4.0.
{% endif %}
"""


def export_to_hub(encoder: Encoder, folder: Path, origin: Origin) -> None:
    """Write `config.json` (timm's format), `model.safetensors` and a model card `README.md`.

    `timm.create_model("local-dir:FOLDER", pretrained=True)` loads it strictly. Preprocessing in
    the card is ours: the whole image is resized to the input size, none is cropped away.

    Args:
        encoder: on any device, in any precision; float32 is written.
        folder: does not exist yet, or is empty.
        origin: what is known of where the weights come from.

    Raises:
        WeightsError: the folder holds something.
    """
    if folder.exists() and any(folder.iterdir()):
        raise WeightsError(f"{folder} is not empty; name a folder that does not exist yet")
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(encoder.plain_state(), folder / HUB_WEIGHTS)
    (folder / HUB_CONFIG).write_text(json.dumps(hub_config(encoder), indent=2) + "\n")
    (folder / "README.md").write_text(_model_card(encoder, folder, origin))


def hub_config(encoder: Encoder) -> dict[str, Any]:
    """Describe an encoder in the format of timm's hub folders, with our own card beside."""
    config = encoder.config
    arguments = config.timm_kwargs()
    # Not among the arguments: transformers gives these two itself, and timm takes them from here.
    num_classes, pool = arguments.pop("num_classes"), arguments.pop("global_pool")
    return {
        "architecture": config.timm_name.partition(".")[0],
        "num_classes": num_classes,
        "num_features": config.width,
        "global_pool": pool,
        "model_args": arguments,
        "pretrained_cfg": {
            "tag": "rspipe",
            "custom_load": False,
            "input_size": [config.in_chans, *config.size_px],
            "fixed_input_size": True,
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "squash",
            "mean": list(config.mean),
            "std": list(config.std),
            "num_classes": num_classes,
            "pool_size": None,
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        },
        HUB_CARD: encoder.card(),
    }


def _model_card(encoder: Encoder, folder: Path, origin: Origin) -> str:
    config = encoder.config
    template = Environment(undefined=StrictUndefined, autoescape=False).from_string(  # noqa: S701 - Markdown
        _README
    )
    return template.render(
        name=origin.name,
        architecture=config.timm_name.partition(".")[0],
        config=config,
        version=__version__,
        folder=folder.name,
        bands=list(zip(config.bands, config.mean, config.std, strict=True)),
        card_key=HUB_CARD,
        origin=origin,
    )
