# SPDX-License-Identifier: Apache-2.0
"""The encoder: a timm vision transformer that can read a subset of its patches.

Its file is what pre-training leaves and evaluation reads. The module inside is exactly timm's
headless model, so `encoder.safetensors` loads into timm without rspipe.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rspipe import __version__
from rspipe.errors import RecipeError, WeightsError
from rspipe.models.backbone import Backbone, Stage
from rspipe.models.golden import Golden, check_golden, made_image, summarise
from rspipe.models.patches import patchify
from rspipe.models.positions import resize_positions, sincos_positions
from rspipe.models.weights import load_strictly, read_state, write_weights
from rspipe.recipe import Strict

WEIGHTS_FILE = "encoder.safetensors"
CARD_FILE = "encoder.json"


class EncoderConfig(Strict):
    """Shape of a vision transformer and of the images it reads. Defaults are ViT-B/16."""

    timm_name: str = "vit_base_patch16_224"
    """Any timm VisionTransformer with a class token; the fields below override its shape."""
    img_px: int | tuple[int, int] = 224
    """Side of a square image, or (height, width)."""
    patch_px: int = Field(default=16, gt=0)
    width: int = Field(default=768, gt=0)
    depth: int = Field(default=12, gt=0)
    heads: int = Field(default=12, gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)
    in_chans: int = Field(default=3, gt=0)
    bands: tuple[str, ...] = ("red", "green", "blue")
    # ImageNet's statistics: the field's convention, and what released weights were trained with.
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    """Per band, of values scaled to 0..1."""
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    @model_validator(mode="after")
    def _fits(self) -> "EncoderConfig":
        if any(side % self.patch_px or side <= 0 for side in self.size_px):
            raise ValueError(f"img_px={self.img_px} is no multiple of patch_px={self.patch_px}")
        if self.width % self.heads:
            raise ValueError(f"width={self.width} is no multiple of heads={self.heads}")
        if not len(self.mean) == len(self.std) == len(self.bands) == self.in_chans:
            raise ValueError(
                f"mean, std and bands need one value for each of {self.in_chans} bands"
            )
        if not all(0 <= m <= 1 and 0 < s <= 1 for m, s in zip(self.mean, self.std, strict=True)):
            raise ValueError(
                f"mean={self.mean}, std={self.std}: want values scaled to 0..1; divide statistics "
                "of 8-bit values by 255"
            )
        return self

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of the images."""
        return (self.img_px, self.img_px) if isinstance(self.img_px, int) else self.img_px

    @property
    def grid(self) -> tuple[int, int]:
        """Patches down and across."""
        height, width = self.size_px
        return height // self.patch_px, width // self.patch_px

    @property
    def patches(self) -> int:
        """Patches of an image, N."""
        return self.grid[0] * self.grid[1]

    @property
    def patch_values(self) -> int:
        """Values of a patch: pixels times bands."""
        return self.patch_px**2 * self.in_chans

    def timm_kwargs(self) -> dict[str, Any]:
        """What `timm.create_model(timm_name, ...)` needs to build the same module."""
        return {
            "img_size": list(self.size_px),
            "patch_size": self.patch_px,
            "embed_dim": self.width,
            "depth": self.depth,
            "num_heads": self.heads,
            "mlp_ratio": self.mlp_ratio,
            "in_chans": self.in_chans,
            "num_classes": 0,
            "global_pool": "token",
        }

    def macs(self, patches: int) -> int:
        """Multiply-accumulates of one forward pass over some patches and the class token.

        Counts the embedding of those patches, the blocks' matrix products and attention.
        """
        embed = patches * self.patch_values * self.width
        return embed + self.depth * block_macs(patches + 1, self.width, self.mlp_ratio)


def block_macs(tokens: int, width: int, mlp_ratio: float) -> int:
    """Multiply-accumulates of one transformer block."""
    linear = round((4 + 2 * mlp_ratio) * tokens * width**2)
    return linear + 2 * tokens**2 * width


class Encoder(Backbone):
    """A vision transformer with a class token and fixed sine-cosine positions.

    Source: Dosovitskiy et al. 2021, arXiv:2010.11929; initialised as in He et al. 2022,
    arXiv:2111.06377, app. A.
    """

    config: EncoderConfig
    has_class_token = True
    checkpointed: bool = False
    """Trade time for memory: see `run_block`."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.vit = _make_vit(config)
        initialise(self.vit)
        with torch.no_grad():
            self.vit.pos_embed.copy_(sincos_positions(config.width, config.grid))
        self.vit.pos_embed.requires_grad_(False)

    @classmethod
    def random(cls, config: EncoderConfig, seed: int) -> "Encoder":
        """The same shape, untrained: the baseline of every comparison."""
        with seeded(seed):
            return cls(config)

    def embed(
        self, images: Float[Tensor, "B C H W"], ids: Int[Tensor, "B K"] | None = None
    ) -> Float[Tensor, "B K D"]:
        """Embed patches and add their positions; no class token.

        Args:
            images: normalised as `preprocess` does.
            ids: the patches, in row-major order of the grid, in any order; None: all of them.
                No pixel of another patch is read, and none is paid for.
        """
        patches = patchify(images, self.config.patch_px)
        positions = self.vit.pos_embed[:, 1:]
        if ids is not None:
            patches = gather_tokens(patches, ids)
            positions = gather_tokens(positions.expand(len(ids), -1, -1), ids)
        # timm's strided convolution, as the matrix product it is; a patch lists row, column, band.
        weight = self.vit.patch_embed.proj.weight.permute(0, 2, 3, 1).flatten(1)
        tokens: Tensor = F.linear(patches, weight, self.vit.patch_embed.proj.bias) + positions
        return tokens

    def encode(
        self, tokens: Float[Tensor, "B K D"], final_norm: bool = True
    ) -> Float[Tensor, "B K+1 D"]:
        """Run the blocks over the class token and any number of embedded patches."""
        x = self._with_class_token(tokens)
        for block in self.vit.blocks:
            x = run_block(block, x, checkpointed=self.checkpointed)
        return self.vit.norm(x) if final_norm else x

    def layers(self, tokens: Float[Tensor, "B K D"]) -> list[Float[Tensor, "B K+1 D"]]:
        """Run the blocks; return what enters the first, then what leaves each; no final norm."""
        layers = [self._with_class_token(tokens)]
        for block in self.vit.blocks:
            layers.append(run_block(block, layers[-1], checkpointed=self.checkpointed))
        return layers

    def _with_class_token(self, tokens: Float[Tensor, "B K D"]) -> Float[Tensor, "B K+1 D"]:
        class_token = self.vit.cls_token + self.vit.pos_embed[:, :1]
        return torch.cat([class_token.expand(len(tokens), -1, -1).to(tokens.dtype), tokens], dim=1)

    def encode_visible(
        self,
        images: Float[Tensor, "B C H W"],
        ids_keep: Int[Tensor, "B K"],
        final_norm: bool = True,
    ) -> Float[Tensor, "B K+1 D"]:
        """Encode the kept patches and the class token; no other pixel is seen.

        Source: He et al. 2022, arXiv:2111.06377, sec. 3, "MAE encoder".
        """
        return self.encode(self.embed(images, ids_keep), final_norm)

    def tokens(
        self, images: Float[Tensor, "B C H W"], final_norm: bool = False
    ) -> Float[Tensor, "B T D"]:
        """Encode whole images: the class token first, then every patch."""
        return self.encode(self.embed(images), final_norm)

    @property
    def trunk(self) -> VisionTransformer:
        """The transformer."""
        return self.vit

    @property
    def final_norm(self) -> nn.Module:
        """Its last LayerNorm."""
        norm: nn.Module = self.vit.norm
        return norm

    @property
    def stages(self) -> tuple[Stage, ...]:
        """One behind each block."""
        return (Stage(self.config.patch_px, self.config.width),) * self.config.depth

    def maps(
        self, images: Float[Tensor, "B C H W"], places: Sequence[int]
    ) -> list[Float[Tensor, "B D h w"]]:
        """Run the blocks up to the last place, without the class token; map what leaves each place.

        Source: MTP (arXiv:2403.13430) and SelectiveMAE fine-tune without a class token.
        """
        x = self.embed(images)
        behind: dict[int, Tensor] = {}
        for number, block in enumerate(self.vit.blocks[: max(places) + 1]):
            x = run_block(block, x, checkpointed=self.checkpointed)
            if number in places:
                behind[number] = x.transpose(1, 2).reshape(len(x), -1, *self.config.grid)
        return [behind[number] for number in places]

    def at_size(self, size_px: int | tuple[int, int]) -> "Encoder":
        """Copy it, so that it reads images of another size.

        Positions are interpolated, bicubic and antialiased; the class token keeps its own. At the
        size that it has, the copy computes the very same.

        Args:
            size_px: side of square images, or (height, width); a multiple of the patch.

        Raises:
            RecipeError: the size is no multiple of the patch.

        Source: Bao et al. 2022 (BEiT), arXiv:2106.08254, and the detectors and segmenters after it.
        """
        patch_px = self.config.patch_px
        sides = (size_px, size_px) if isinstance(size_px, int) else size_px
        if any(side % patch_px for side in sides):
            near = " x ".join(str(max(round(side / patch_px), 1) * patch_px) for side in sides)
            raise RecipeError(
                f"images of {sides[0]} x {sides[1]} px are no whole number of the encoder's "
                f"patches of {patch_px} px: set the protocol's crop_px or img_px to a multiple, "
                f"such as {near}"
            )
        config = EncoderConfig.model_validate({**self.config.model_dump(), "img_px": size_px})
        state = {name: tensor.detach().clone() for name, tensor in self.vit.state_dict().items()}
        state["pos_embed"] = resize_positions(state["pos_embed"], self.config.grid, config.grid)
        copy = Encoder.random(config, seed=0)
        copy.vit.load_state_dict(state, strict=True)
        copy.checkpointed = self.checkpointed
        copy.report = self.report
        return copy.to(self.device).train(self.training)

    def untrained(self, seed: int) -> "Encoder":
        """Make one of the same shape with random weights."""
        return Encoder.random(self.config, seed)

    def save(self, folder: Path) -> None:
        """Write `encoder.safetensors` (timm's keys, nothing more) and `encoder.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        write_weights(self.plain_state(), folder / WEIGHTS_FILE)
        (folder / CARD_FILE).write_text(json.dumps(self.card(), indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Encoder":
        """Read an encoder back and prove that it computes what it computed when saved.

        The matched and total number of tensors stand in `encoder.report`.

        Raises:
            WeightsError: a file is absent or unreadable, a key is missing or unexpected, or the
                features of the made image differ from those noted at saving.
        """
        if not (folder / CARD_FILE).is_file():
            raise WeightsError(
                f"{folder}: no finished encoder here; run `make pretrain` first, or bring "
                "published weights in with `rspipe weights import`"
            )
        try:
            card = json.loads((folder / CARD_FILE).read_text())
        except (OSError, ValueError) as error:
            raise WeightsError(f"{folder / CARD_FILE}: not readable: {error}") from error
        return cls.from_card(card, folder / WEIGHTS_FILE)

    @classmethod
    def from_card(cls, card: dict[str, Any], weights: Path) -> "Encoder":
        """Build an encoder from its card and its weights, and prove that they belong together.

        Args:
            card: as `card` gives it.
            weights: a file of tensors by timm's names.

        Raises:
            WeightsError: it is no such card, or the weights are not those that it describes.
        """
        try:
            config = EncoderConfig.model_validate_json(json.dumps(card["config"]))
            noted = {name: list(map(float, values)) for name, values in card["golden"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(
                f"{weights.parent}: not an encoder card ({error}); "
                "want a folder written by pre-training or by `rspipe weights`"
            ) from error
        encoder = cls(config)
        encoder.report = load_strictly(encoder.vit, read_state(weights), str(weights))
        check_golden(encoder.golden(), noted, str(weights))
        return encoder.eval()

    def card(self) -> dict[str, Any]:
        """Say all that somebody needs to use the weights, with or without rspipe."""
        return {
            "rspipe_version": __version__,
            "timm_name": self.config.timm_name,
            "timm_kwargs": self.config.timm_kwargs(),
            "img_px": self.config.img_px,
            "patch_px": self.config.patch_px,
            "bands": self.config.bands,
            "value_range": [0, 255],
            "mean": self.config.mean,
            "std": self.config.std,
            "config": self.config.model_dump(mode="json"),
            "golden": self.golden(),
        }

    def plain_state(self) -> dict[str, Tensor]:
        """Give the weights by timm's names, in float32 on the CPU."""
        return {k: v.detach().cpu().float().contiguous() for k, v in self.vit.state_dict().items()}

    def made_image(self) -> Float[Tensor, "1 C H W"]:
        """Make the image whose features are noted, standardised, on the CPU."""
        return self.standardise(made_image(self.config.size_px, self.config.in_chans).float())

    @torch.no_grad()
    def golden(self) -> Golden:
        """Compute features of the made image: in float32, on the CPU, whatever we run on."""
        twin = Encoder.random(self.config, seed=0)
        twin.vit.load_state_dict(self.plain_state())
        with torch.autocast("cpu", enabled=False):
            return summarise(twin.eval().tokens(twin.made_image(), final_norm=True))


def _make_vit(config: EncoderConfig) -> VisionTransformer:
    # timm would take "hf-hub:…" for a place to fetch a model from; cards come from strangers.
    if ":" in config.timm_name:
        raise RecipeError(f"timm_name={config.timm_name!r}: want a model's name, not a place")
    try:
        vit = timm.create_model(config.timm_name, pretrained=False, **config.timm_kwargs())
    except (RuntimeError, TypeError) as error:  # no such model, or none of these dials
        raise RecipeError(f"timm_name={config.timm_name!r}: {error}") from error
    stranger = _stranger(vit)
    if stranger:
        raise RecipeError(
            f"timm_name={config.timm_name!r}: {stranger}; want a plain vision transformer with a "
            "class token and no registers, such as vit_base_patch16_224"
        )
    return vit


def _stranger(vit: nn.Module) -> str:
    """Name a part that masking does not know, so that timm would compute other features."""
    if not isinstance(vit, VisionTransformer):
        return "no vision transformer of timm"
    parts = {
        "no class token alone before the patches": vit.num_prefix_tokens != 1,
        "positions are not added, or not to the class token": vit.pos_embed is None
        or vit.no_embed_class,
        "a norm before the blocks": not isinstance(vit.norm_pre, nn.Identity),
        "patches embedded by more than one convolution": not isinstance(
            getattr(vit.patch_embed, "norm", None), nn.Identity
        ),
    }
    return ", ".join(name for name, has in parts.items() if has)


def run_block(
    block: nn.Module, x: Float[Tensor, "B T D"], *others: Tensor, checkpointed: bool
) -> Float[Tensor, "B T D"]:
    """Call a block; if checkpointed, keep only its input and compute it again going backward."""
    out: Tensor = (
        checkpoint(block, x, *others, use_reentrant=False)
        if checkpointed and torch.is_grad_enabled()
        else block(x, *others)
    )
    return out


def gather_tokens(
    tokens: Float[Tensor, "B N D"], ids: Int[Tensor, "B K"]
) -> Float[Tensor, "B K D"]:
    """Take the tokens with these numbers, in this order, image by image."""
    return tokens.gather(1, ids[:, :, None].expand(-1, -1, tokens.shape[-1]))


def initialise(module: nn.Module) -> None:
    """Initialise linear layers, norms and tokens.

    Linear: Xavier-uniform, bias 0. The patch projection likewise, as the matrix it is.
    LayerNorm: gain 1, bias 0. Tokens: normal, standard deviation 0.02.

    Source: He et al. 2022, arXiv:2111.06377, app. A.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(part.weight.data.view(part.weight.shape[0], -1))
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
    for name, parameter in module.named_parameters():
        if name.endswith(("cls_token", "mask_token")):
            nn.init.normal_(parameter, std=0.02)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Make initialisation a function of a seed and leave the global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
