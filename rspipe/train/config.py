# SPDX-License-Identifier: Apache-2.0
"""The recipe of a pre-training run: `what` changes results, `how` changes only speed."""

from typing import Literal

from pydantic import Field, model_validator

from rspipe.models.encoder import EncoderConfig
from rspipe.objectives import ObjectiveConfig
from rspipe.recipe import Strict
from rspipe.train.augment import Augment

Precision = Literal["bf16", "fp32"]
SinkName = Literal["tensorboard", "wandb", "mlflow"]


class InitFrom(Strict):
    """Weights to start from instead of random ones; their hash is part of the fingerprint."""

    path: str
    """A weights file of a known layout, or the folder of a run."""
    encoder_only: bool = False
    """Let the decoder start from random weights."""
    resize: bool = False
    """Interpolate the encoder's positions where the grids differ."""


class PretrainWhat(Strict):
    """Everything that changes the weights; fingerprinted together with the corpus."""

    encoder: EncoderConfig
    objective: ObjectiveConfig
    augment: Augment = Augment()
    images_per_step: int = Field(gt=0)
    """Of all devices and passes together."""
    steps: int = Field(gt=0)
    base_lr: float = Field(default=1.5e-4, gt=0)
    """Per 256 images; times images_per_step / 256 and the objective's own factor."""
    warmup_fraction: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.05, ge=0)
    """On matrices only: not on norms, biases and tokens."""
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float | None = Field(default=1.0, gt=0)
    """Largest norm of the gradient; null: no clipping."""
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    """Export a running average of the encoder, which keeps this share of itself at each step;
    null: export the weights of the last step."""
    init_from: InitFrom | None = None
    layer_decay: float | None = Field(default=None, gt=0, le=1)
    """Learning rate of each encoder layer, over that of the layer behind it: for weights that are
    good already. Null: one rate for all."""
    shuffle_block_rows: int = Field(default=256, gt=0)
    """Most rows of a block; a row group of more is split, and is then read more than once."""
    shuffle_window_blocks: int = Field(default=256, gt=0)
    """Random blocks whose rows are mixed at any one place of the stream; they stay in memory."""
    seed: int = Field(default=0, ge=0)
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """auto: bf16 where the hardware multiplies it, else fp32; what it became is recorded."""

    @model_validator(mode="after")
    def _fits(self) -> "PretrainWhat":
        if self.layer_decay is not None and self.init_from is None:
            raise ValueError("layer_decay is for weights that are good already: set init_from")
        return self


class PretrainHow(Strict):
    """Everything that changes only speed, disk and what there is to look at.

    Results then agree to the rounding of float sums; on a CPU with the same processes, passes and
    torch_threads, bit for bit.
    """

    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ...; under torchrun each process takes its own GPU."""
    parallel: Literal["auto", "ddp", "fsdp2"] = "auto"
    """How several processes share the weights: ddp: each has all; fsdp2: each has its part.
    auto: ddp, unless weights, gradients and moments would fill a quarter of a GPU."""
    images_per_device: int | None = Field(default=None, gt=0)
    """Most images in one pass of a device: a device's share of a step is split into as many
    passes as that needs, to save memory. Null: one pass."""
    activation_checkpointing: bool = False
    """Keep only the input of each block and compute the rest again: slower, much less memory."""
    compile: bool = False
    """Of the forward pass: whole on one device, block by block on several."""
    loader_threads: int | None = Field(default=None, gt=0)
    """Null: one per core, shared with the other processes of this machine."""
    torch_threads: int | None = Field(default=None, gt=0)
    """Null: as torch chooses. Another number may change the last bit of a sum."""
    cache_bytes: int = Field(default=8 * 2**30, ge=0)
    """Most encoded bytes of row groups in memory; taken as far as the shuffle's window needs."""
    checkpoint_every_steps: int = Field(default=500, gt=0)
    keep_checkpoints: int = Field(default=2, gt=0)
    log_every_steps: int = Field(default=10, gt=0)
    log_to: tuple[SinkName, ...] = ("tensorboard",)
    """Where metrics go besides metrics.jsonl."""
    pictures_every_steps: int = Field(default=500, gt=0)


class Probe(Strict):
    """A look at the encoder on the way: nearest neighbours on a labelled data set."""

    data: str
    """Folder whose subfolders are data sets in their published layouts."""
    benchmark: str
    """Name of one of them; of a classification task."""
    every_steps: int = Field(gt=0)


class PretrainRecipe(Strict):
    """A whole run: which corpus, which folder, what and how."""

    name: str
    corpus: str
    """Folder of a packed corpus."""
    out: str | None = None
    """Run folder; null: data/runs/<name>."""
    what: PretrainWhat
    how: PretrainHow = PretrainHow()
    probe: Probe | None = None
    """Its scores go to the log; it changes nothing else."""
