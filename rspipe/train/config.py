"""The recipe of a pre-training run: `what` changes results, `how` changes only speed."""

from typing import Literal

from pydantic import Field, model_validator

from rspipe.models.encoder import EncoderConfig
from rspipe.objectives import ObjectiveConfig
from rspipe.recipe import Strict
from rspipe.train.augment import Augment

Precision = Literal["bf16", "fp32"]


class PretrainWhat(Strict):
    """Everything that changes the weights; fingerprinted together with the corpus."""

    encoder: EncoderConfig
    objective: ObjectiveConfig
    augment: Augment = Augment()
    images_per_step: int = Field(gt=0)
    steps: int = Field(gt=0)
    forwards_per_step: int = Field(default=1, gt=0)
    """Passes that a step is split into to save memory; masks are drawn per pass."""
    base_lr: float = Field(default=1.5e-4, gt=0)
    """Per 256 images; times images_per_step / 256 and the objective's own factor."""
    warmup_fraction: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.05, ge=0)
    """On matrices only: not on norms, biases and tokens."""
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float | None = Field(default=1.0, gt=0)
    """Largest norm of the gradient; null: no clipping."""
    shuffle_block_rows: int = Field(default=256, gt=0)
    """Most rows of a block; a row group of more is split, and is then read more than once."""
    shuffle_window_blocks: int = Field(default=256, gt=0)
    """Random blocks whose rows are mixed at any one place of the stream; they stay in memory."""
    seed: int = Field(default=0, ge=0)
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """auto: bf16 where the hardware multiplies it, else fp32; what it became is recorded."""

    @model_validator(mode="after")
    def _fits(self) -> "PretrainWhat":
        if self.images_per_step % self.forwards_per_step:
            raise ValueError(
                f"images_per_step={self.images_per_step} is no multiple of "
                f"forwards_per_step={self.forwards_per_step}"
            )
        return self


class PretrainHow(Strict):
    """Everything that changes only speed, disk and what there is to look at."""

    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""
    loader_threads: int | None = Field(default=None, gt=0)
    """Null: one per core, shared with the other processes of this machine."""
    torch_threads: int | None = Field(default=None, gt=0)
    """Null: as torch chooses. Another number may change the last bit of a sum."""
    compile: bool = False
    cache_bytes: int = Field(default=8 * 2**30, ge=0)
    """Most encoded bytes of row groups in memory; taken as far as the shuffle's window needs."""
    checkpoint_every_steps: int = Field(default=500, gt=0)
    keep_checkpoints: int = Field(default=2, gt=0)
    log_every_steps: int = Field(default=10, gt=0)
    pictures_every_steps: int = Field(default=500, gt=0)


class PretrainRecipe(Strict):
    """A whole run: which corpus, which folder, what and how."""

    name: str
    corpus: str
    """Folder of a packed corpus."""
    out: str | None = None
    """Run folder; null: data/runs/<name>."""
    what: PretrainWhat
    how: PretrainHow = PretrainHow()
