# SPDX-License-Identifier: Apache-2.0
"""Any image model of timm's as an encoder: plain transformers of every kind, pyramids, ConvNets.

timm has two ways in that all its models share: `forward_features`, whose result is tokens (B, T, D)
or a map (B, H, W, D) or (B, D, H, W), and `forward_intermediates`, whose results are maps of
patches alone. Here both become what `Backbone` promises. What cannot be told for sure, such as
which tokens are patches, is refused.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import timm
import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from timm.layers import LayerNorm, RmsNorm
from torch import Tensor, nn

from rspipe.errors import RecipeError, UnfitEncoder
from rspipe.models.backbone import Backbone, Stage
from rspipe.models.encoder import seeded
from rspipe.models.golden import made_image
from rspipe.recipe import Strict, nearest_name

# Norms of the last axis; others of timm's, such as LayerNorm2d, are of the second of four.
_LAST_AXIS = (nn.LayerNorm, nn.RMSNorm, LayerNorm, RmsNorm)
# The same sums in the same order: what differs by more is no norm of the features.
_SAME_FEATURES = 1e-5


class TimmConfig(Strict):
    """A model of timm's, the images that it reads, and what was found of the tokens it makes."""

    timm_name: str
    """With its tag, if it has one."""
    model_args: dict[str, Any] = Field(default_factory=dict)
    """What `timm.create_model` got besides."""
    img_px: int | tuple[int, int]
    bands: tuple[str, ...]
    mean: tuple[float, ...]
    """Per band, of values scaled to 0..1."""
    std: tuple[float, ...]
    width: int = 0
    patch_px: int = 0
    grid: tuple[int, int] = (0, 0)

    @model_validator(mode="after")
    def _fits(self) -> "TimmConfig":
        if not len(self.mean) == len(self.std) == len(self.bands):
            raise ValueError(f"mean and std need one value for each of {len(self.bands)} bands")
        if not all(0 <= m <= 1 and 0 < s <= 1 for m, s in zip(self.mean, self.std, strict=True)):
            raise ValueError(f"mean={self.mean}, std={self.std}: want values scaled to 0..1")
        return self

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of the images."""
        return (self.img_px, self.img_px) if isinstance(self.img_px, int) else self.img_px

    @property
    def in_chans(self) -> int:
        """Number of bands."""
        return len(self.bands)


class TimmEncoder(Backbone):
    """A headless model of timm's, its final norm taken apart from it."""

    config: TimmConfig

    def __init__(self, model: nn.Module, config: TimmConfig) -> None:
        """Find out how the tokens of a model lie, and prove that nothing is lost on the way.

        Args:
            model: without a classifier (`num_classes=0`), at the size of the images; it is taken
                over, not copied.
            config: its shape is found and need not be given.

        Raises:
            RecipeError: it does not run at this size, or its patches cannot be told from its
                other tokens.
        """
        super().__init__()
        self.body = model
        cls_token = getattr(model, "cls_token", None)
        self.prefix = int(getattr(model, "num_prefix_tokens", 0))
        self.has_class_token = self.prefix > 0 and cls_token is not None
        self.norm: nn.Module = nn.Identity()
        self.eval()
        self.config = self._measured(config)
        self._take_norm()

    @classmethod
    def build(cls, config: TimmConfig, seed: int) -> "TimmEncoder":
        """Make a model with timm's random initialisation; the classifier is left out.

        Raises:
            RecipeError: timm has no such model, or it takes no such arguments.
        """
        with seeded(seed):
            return cls(make_model(config.timm_name, config.model_args), config)

    @property
    def trunk(self) -> nn.Module:
        """The model."""
        return self.body

    @property
    def final_norm(self) -> nn.Module:
        """Its last norm."""
        return self.norm

    @property
    def stages(self) -> tuple[Stage, ...]:
        """As timm lists them: of samvit, whose neck narrows its maps, before the neck."""
        found: Any = getattr(self.body, "feature_info", ())
        return tuple(Stage(int(one["reduction"]), int(one["num_chs"])) for one in found)

    def tokens(
        self, images: Float[Tensor, "B C H W"], final_norm: bool = False
    ) -> Float[Tensor, "B T D"]:
        """Encode normalised images: the class token first, if there is one, then every patch.

        Registers, and the distillation token of DeiT, take part in attention and are left out here.
        """
        features = self._features(images)
        if features.ndim == 4:
            channels_last = features if self._is_nhwc() else features.permute(0, 2, 3, 1)
            tokens = channels_last.flatten(1, 2)
        elif self.has_class_token:
            tokens = torch.cat([features[:, :1], features[:, self.prefix :]], dim=1)
        else:
            tokens = features[:, self.prefix :]
        return self.norm(tokens) if final_norm else tokens

    def maps(
        self, images: Float[Tensor, "B C H W"], places: Sequence[int]
    ) -> list[Float[Tensor, "B D h w"]]:
        """Read maps of patches; the class token and registers take part in attention.

        Raises:
            UnfitEncoder: timm gives no maps of this model.
        """
        if not hasattr(self.body, "forward_intermediates"):
            raise UnfitEncoder(
                f"timm {timm.__version__} gives no maps from inside {self.config.timm_name}; "
                "judge it by the probes of classification"
            )
        indices = sorted(set(places))
        run: Any = self.body.forward_intermediates
        found = run(
            images,
            indices=indices,
            norm=False,
            stop_early=True,
            output_fmt="NCHW",
            intermediates_only=True,
        )
        behind = dict(zip(indices, found, strict=True))
        return [behind[place] for place in places]

    def at_size(self, size_px: int | tuple[int, int]) -> "TimmEncoder":
        """Copy it, so that it reads images of another size; timm resamples what depends on it.

        Raises:
            UnfitEncoder: timm cannot resample the positions of this model, or it does not run at
                this size.
        """
        copy = deepcopy(self)
        wanted = TimmConfig.model_validate({**self.config.model_dump(), "img_px": size_px})
        if wanted.size_px != self.config.size_px:
            copy._resize(wanted)
        return copy.train(self.training)

    def untrained(self, seed: int) -> "TimmEncoder":
        """Make one of the same shape as timm initialises it."""
        return TimmEncoder.build(self.config, seed)

    def _resize(self, wanted: TimmConfig) -> None:
        name, size = wanted.timm_name, wanted.size_px
        way_out = f"judge it at its own size, {self.config.size_px} px"
        arguments = dict(wanted.model_args)
        resize: Any = getattr(self.body, "set_input_size", None)
        if resize is not None:
            try:
                resize(img_size=size)
            except (AssertionError, RuntimeError, ValueError, TypeError) as error:
                raise UnfitEncoder(
                    f"{name} cannot be set to {size} px: {error}; {way_out}"
                ) from error
            arguments["img_size"] = list(size)
        elif _is_fixed(self.body):
            raise UnfitEncoder(
                f"{name} has positions of one image size and timm cannot resample them in place; "
                f"{way_out}"
            )
        try:
            self.config = self._measured(wanted.model_copy(update={"model_args": arguments}))
        except RecipeError as error:
            raise UnfitEncoder(f"{error}; {way_out}") from error

    def _features(self, images: Float[Tensor, "B C H W"]) -> Tensor:
        run: Any = self.body.forward_features
        features: Tensor = run(images)
        return features

    def _is_nhwc(self) -> bool:
        return getattr(self.body, "output_fmt", "NCHW") == "NHWC"

    @torch.no_grad()
    def _measured(self, config: TimmConfig) -> TimmConfig:
        """Run it once and find width, grid and stride."""
        name, mode = config.timm_name, self.training
        strides = {stage.stride_px for stage in self.stages}
        if len(strides) == 1 and any(side % max(strides) for side in config.size_px):
            raise RecipeError(f"{name}: {config.size_px} px are no multiple of {max(strides)}")
        image = torch.zeros(1, config.in_chans, *config.size_px, device=self.device)
        self.eval()
        try:
            features = self._features(image)
            grid = self._grid_of(features, image)
        except (AssertionError, RuntimeError, ValueError) as error:
            raise RecipeError(
                f"{name} does not run on {config.in_chans} bands of {config.size_px} px: {error}"
            ) from error
        self.train(mode)
        nchw = features.ndim == 4 and not self._is_nhwc()
        return config.model_copy(
            update={
                "width": features.shape[1 if nchw else -1],
                "grid": grid,
                "patch_px": round(config.size_px[0] / grid[0]),
            }
        )

    def _grid_of(self, features: Tensor, image: Float[Tensor, "1 C H W"]) -> tuple[int, int]:
        if not isinstance(features, Tensor) or features.ndim not in (3, 4):
            raise ValueError("its features are neither tokens nor a map")
        if features.ndim == 4:
            height, width = features.shape[1:3] if self._is_nhwc() else features.shape[2:]
            return height, width
        (last,) = self._last_map(image)
        height, width = last.shape[2:]
        if features.shape[1] != self.prefix + height * width:
            raise ValueError(
                f"{features.shape[1]} tokens are not {self.prefix} of the whole image and "
                f"{height} x {width} patches, so patches cannot be told from the rest"
            )
        return height, width

    def _last_map(self, image: Float[Tensor, "1 C H W"]) -> list[Tensor]:
        run: Any = getattr(self.body, "forward_intermediates", None)
        if run is None:
            raise ValueError("timm gives no map of it, so patches cannot be told from other tokens")
        found: list[Tensor] = run(image, indices=1, intermediates_only=True)
        return found

    @torch.no_grad()
    def _take_norm(self) -> None:
        """Take the final norm out of the model, so that tokens can be read before and after it.

        It is named `norm` and of tokens, or stands behind pooling as `fc_norm` or `head.norm`.
        """
        image = made_image(self.config.size_px, self.config.in_chans).to(self.device)
        images = self.normalise(image)
        before = self.tokens(images)
        own = _norm_of(self.body, "norm")
        if own is not None:
            self.body.norm = nn.Identity()
            self.norm = _on_tokens(own)
            after = self.tokens(images, final_norm=True)
            apart = float((after - before).abs().max())
            if apart <= _SAME_FEATURES * max(1.0, float(before.abs().max())):
                return
            self.body.norm = own
        self.norm = nn.Identity()
        for part, name in ((self.body, "fc_norm"), (getattr(self.body, "head", None), "norm")):
            norm = _norm_of(part, name)
            if norm is not None:
                setattr(part, name, nn.Identity())
                self.norm = _on_tokens(norm)
                self.norm_after_pooling = True
                return


class OnChannels(nn.Module):
    """A norm of maps (B, D, h, w), applied to tokens."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, tokens: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Norm each token."""
        normed: Tensor = self.norm(tokens.transpose(1, 2)[..., None])
        return normed[..., 0].transpose(1, 2)


def make_model(name: str, arguments: dict[str, Any], pretrained: bool = False) -> nn.Module:
    """Make a model of timm's, without a classifier where it is not pretrained.

    Raises:
        RecipeError: timm has no such model, or it takes no such arguments.
    """
    refuse_unknown(name)
    # A pretrained model keeps its classifier: timm loads strictly only so.
    head = {} if pretrained else {"num_classes": 0}
    try:
        model: nn.Module = timm.create_model(name, pretrained=pretrained, **head, **arguments)
    except (TypeError, AssertionError) as error:
        raise RecipeError(f"timm/{name}: does not take {arguments}: {error}") from error
    if pretrained:
        drop: Any = model.reset_classifier
        drop(0)
    return model


def refuse_unknown(name: str) -> None:
    """Refuse what is no model of timm's; a place to fetch one from ("hf-hub:…") is none.

    Raises:
        RecipeError: naming the nearest one.
    """
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        raise RecipeError(
            f"timm/{name}: timm {timm.__version__} has no model {architecture!r}"
            f"{nearest_name(architecture, timm.list_models())}"
        )


def _norm_of(part: object, name: str) -> nn.Module | None:
    norm = getattr(part, name, None)
    return norm if isinstance(norm, nn.Module) and not isinstance(norm, nn.Identity) else None


def _on_tokens(norm: nn.Module) -> nn.Module:
    return norm if type(norm) in _LAST_AXIS else OnChannels(norm)


def _is_fixed(model: nn.Module) -> bool:
    config: Any = getattr(model, "pretrained_cfg", {}) or {}
    return bool(config.get("fixed_input_size"))
