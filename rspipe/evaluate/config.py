# SPDX-License-Identifier: Apache-2.0
"""The evaluation recipe: which encoder, on which benchmarks, by which protocols."""

from typing import Annotated, Literal

from pydantic import Field

from rspipe.evaluate.classification.tuning.settings import FineTuning
from rspipe.evaluate.detection.horizontal.settings import FasterRCNNTuning, PlainDETRTuning
from rspipe.evaluate.detection.oriented.settings import OrientedTuning
from rspipe.evaluate.frozen.tokens import Norm
from rspipe.evaluate.published import Published
from rspipe.evaluate.robustness.settings import Robustness
from rspipe.models.timm_sources import InputRules
from rspipe.recipe import Strict

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


class Protocols(Strict):
    """Which protocols judge which task: keys of the EVALUATORS table."""

    classification: tuple[str, ...] = (
        "knn",
        "knn_white",
        "logistic",
        "linear",
        "efficient",
        "attentive",
        "few_shot",
        "majority",
    )
    segmentation: tuple[str, ...] = ("linear", "majority", "colour")
    detection: tuple[str, ...] = ("linear_detector",)


class Knn(Strict):
    """Weighted nearest neighbours. Source: Caron et al. 2021 (DINO), arXiv:2104.14294."""

    k: Count = 20
    temperature: Positive = 0.07
    also_k: tuple[Count, ...] = (1, 5, 10, 50, 100, 200)
    """Further numbers of neighbours, scored beside the headline; none of them is chosen."""
    also_temperature: tuple[Positive, ...] = (0.1, 0.2)
    """Likewise, combined with each k."""


class LogisticProbe(Strict):
    """Multinomial logistic regression on standardised features."""

    c_grid: tuple[Positive, ...] = tuple(float(f"{10 ** (e / 2):.4g}") for e in range(-12, 9))
    """Inverse strengths of the L2 penalty to choose from: two a decade from 1e-6 to 1e4."""
    max_iterations: Count = 1000


class GradientProbe(Strict):
    """A head trained by LARS on cached features: momentum 0.9, trust 0.001, no weight decay."""

    lr_grid: tuple[Positive, ...] = (0.5, 2.0, 8.0, 32.0)
    """Peak learning rates to choose from, as they stand: not scaled by the batch, since a set
    smaller than a batch would then hardly be learned."""
    images_per_step: Count = 128
    epochs: Count = 90
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = 1 / 9
    """Share of the steps in which the rate rises linearly; then half a cosine to 0."""
    min_steps: Count = 300
    """Small sets are passed more often than `epochs` times, until so many steps are made."""


class LinearProbing(GradientProbe):
    """Batch normalisation and a linear layer. Source: He et al. 2022, arXiv:2111.06377, app. A."""

    lr_grid: tuple[Positive, ...] = (2.0, 8.0, 32.0, 128.0)


class TokenProbing(GradientProbe):
    """A head that pools tokens by itself."""

    norm: Norm = "pre"
    class_token: bool = False
    """Pool the class token among the patch tokens (`ep_all` of efficient probing)."""


class EfficientProbing(TokenProbing):
    """Efficient probing. Source: Psomas et al. 2026, arXiv:2506.10178."""

    queries: Count = 32
    """M; where M x shrink does not divide the width, the next smaller number that does."""
    shrink: Count = 1
    """d_out: the pooled vector has width / d_out channels."""


class AttentiveProbing(TokenProbing):
    """Attentive probing. Source: El-Nouby et al. 2024 (AIM), arXiv:2401.08541."""

    heads: Count = 12
    """Where it does not divide the width, the next smaller number that does."""


class FewShot(Strict):
    """Accuracy by images per class in training."""

    probe: str = "logistic"
    """A key of the PROBES table."""
    shots: tuple[Count, ...] = (1, 2, 4, 8, 16, 32)
    draws: Count = 5
    """Independent draws of the images; their spread is reported."""


class LabelShare(Strict):
    """Accuracy by share of the train part, class by class."""

    probe: str = "logistic"
    shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
    draws: Count = 3


class SegmentationTraining(Strict):
    """A head on crops of images, and the windows in which whole images are read."""

    crop_px: Count | None = None
    """Side of training crops and of windows, a multiple of the patch; null: the encoder's own.
    At another size its positions are interpolated."""
    stride_px: Count | None = None
    """Step between windows; null: three quarters of the crop."""
    longest_px: Count | None = None
    """Longer side to which images are scaled before all else, in training and in inference;
    null: as published. Scores are taken at the size of the published masks."""
    fit_px: Count | None = None
    """Training images alone: scaled to that longer side before `scale`; null: they are not."""
    scale: tuple[Positive, Positive] = (1.0, 1.0)
    """Range of the factor by which training images are scaled then."""
    max_class_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Crops of which one class takes more are drawn again, up to ten times."""
    flip: bool = True
    """Half of the crops are mirrored left to right."""
    photometric: bool = False
    """Brightness, contrast, saturation and hue are distorted."""
    iterations: Count
    images_per_step: Count
    lr: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    warmup_iterations: Annotated[int, Field(ge=0)]
    """Linear, from a millionth of the rate."""
    schedule: Literal["cosine", "poly"] = "cosine"
    """Fall to 0 after warm-up: half a cosine, or linearly (poly of power 1)."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the network's products, in training and in windows; loss and averages are float32."""
    seeds: Count = 1
    """Trainings; the score is the mean over them, their spread stands apart."""
    groups: tuple[str, ...] = ()
    """Names of folders: mIoU is also given of the test images below each (LoveDA: Urban, Rural)."""


class LinearSegmentation(SegmentationTraining):
    """One linear layer per patch token of the frozen encoder."""

    iterations: Count = 300
    images_per_step: Count = 16
    lr: Positive = 1e-2
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    warmup_iterations: Annotated[int, Field(ge=0)] = 0


class UPerNetTuning(SegmentationTraining):
    """UPerNet-512 on four taps, encoder and head trained together.

    Source: the released configs of SelectiveMAE for LoveDA (arXiv:2406.11933), those of MTP too.
    """

    crop_px: Count | None = 512
    stride_px: Count | None = 384
    fit_px: Count | None = 512
    """Training images see the ground at a quarter to the whole of the published resolution of
    1024 px, while inference reads it as published: so do the released configs."""
    scale: tuple[Positive, Positive] = (0.5, 2.0)
    max_class_share: Annotated[float, Field(gt=0, le=1)] = 0.75
    photometric: bool = True
    iterations: Count = 80_000
    images_per_step: Count = 8
    lr: Positive = 6e-5
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    warmup_iterations: Annotated[int, Field(ge=0)] = 1500
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Learning rate of a block over that of the block behind it."""
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Of the last block; falls linearly to 0 at the first."""
    channels: Count = 512
    """Of the head; tables of the literature mean 512."""
    taps: Literal["four", "last"] = "four"
    """Blocks that feed the levels: the protocol's, or the last one for all of them."""
    auxiliary_weight: Annotated[float, Field(ge=0)] = 0.0
    """Of a second loss through a shallow head on the third level; the published recipes: 0."""
    frozen: bool = False
    """Whether the encoder stays as it is and only adapter and head learn."""
    submission_split: str | None = None
    """Split without masks of which predictions are written as the benchmark's server takes them;
    for it the network is trained again, on the scored part too."""


class LinearDetector(Strict):
    """A small dense head on frozen patch tokens."""

    tiles: Count = 2
    """The head sees an image at tiles x img_px a side, encoded tile by tile."""
    steps: Count = 400
    images_per_step: Count = 8
    lr: Positive = 3e-3
    width: Count = 64
    """Channels inside the head."""
    score_threshold: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """Boxes below it are not reported: far below what AP needs."""
    nms_iou: Share = 0.5


class Blobs(Strict):
    """Boxes of one size where colours look right: the floor of detection."""

    most_images: Count = 500
    """Training images that colours and sizes are learned from: the first of the fold."""
    candidates: Count = 2000
    """Best places of an image, all classes together."""
    nms_iou: Share = 0.3
    """Within a class."""
    kept: Count = 100
    """Detections per image."""


class Bootstrap(Strict):
    """Resampling of test images for 95 % intervals."""

    resamples: Count = 1000


class What(Strict):
    """What changes the numbers."""

    protocols: Protocols = Protocols()
    baselines: tuple[Literal["random", "image_statistics"], ...] = ("random", "image_statistics")
    """Encoders to judge beside the trained one: `random` has its shape, untrained;
    `image_statistics` are means, spreads and histograms of each band, for classification."""
    input: dict[str, InputRules] = Field(default_factory=dict)
    """What encoders shall read, where it is not what they say of themselves, by label:
    `what.input.pretrained.img_px=448`."""
    pooling: Literal["mean", "cls", "both"] = "mean"
    """How tokens become one vector: the mean of the patch tokens, the class token, or both
    end to end. Probes that pool tokens by themselves have dials of their own."""
    norm: Norm = "post"
    """Whether pooled tokens are those before or after the encoder's final LayerNorm."""
    features_dtype: Literal["float16", "float32"] = "float16"
    """Of tokens on disk; pooled vectors are float32 always."""
    validation_share: Share = 0.2
    """Share of the train part that chooses a probe's settings, where a data set has no
    validation split; the final probe is fitted on both."""
    probe_seeds: Count = 3
    """Trainings of each probe that draws random numbers; the score is their mean."""
    train_share: Share = 0.8
    """Train share of a data set that comes without splits, chosen by a hash of the paths."""
    split_lists: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    """Lists in the data set's folder that say who trains and who is scored, by split: `{train:
    train_20.txt, test: test_20.txt}`; they go before all that its card says of splits."""
    train_first: Count | None = None
    """The first so many labelled images, in the order of their numbered names, train and the rest
    are scored, whatever split they are in (SpaceNet 1: 5000)."""
    folds: Count = 1
    """Above 1: sets without splits are cross-validated, so that every image is scored once."""
    max_images: Count | None = None
    """At most this many images in the train part and in the test part of each benchmark."""
    seed: int = 0
    knn: Knn = Knn()
    logistic: LogisticProbe = LogisticProbe()
    linear: LinearProbing = LinearProbing()
    efficient: EfficientProbing = EfficientProbing()
    attentive: AttentiveProbing = AttentiveProbing()
    few_shot: FewShot = FewShot()
    label_share: LabelShare = LabelShare()
    fine_tune: FineTuning = FineTuning()
    linear_segmentation: LinearSegmentation = LinearSegmentation()
    upernet: UPerNetTuning = UPerNetTuning()
    linear_detector: LinearDetector = LinearDetector()
    blobs: Blobs = Blobs()
    faster_rcnn: FasterRCNNTuning = FasterRCNNTuning()
    plain_detr: PlainDETRTuning = PlainDETRTuning()
    oriented_rcnn: OrientedTuning = OrientedTuning()
    robustness: Robustness | None = None
    """Corruptions under which probes of classification are scored too; null: none."""
    bootstrap: Bootstrap = Bootstrap()


class How(Strict):
    """What changes only the speed."""

    device: str = "auto"
    """`auto` (CUDA where there is one), `cpu` or `cuda`."""
    batch: Count = 64
    """Images per forward pass of the encoder."""
    features: str | None = None
    """Folder of cached features, which may be deleted at any time; null: `features` in the
    results folder. Tokens take images x tokens x width x 2 bytes: 300 kB an image for ViT-B/16."""
    threads: Count | None = None
    """CPU threads of torch and of scikit-learn's linear algebra; null leaves it to them."""


class EvalRecipe(Strict):
    """One evaluation: an encoder against a folder of benchmarks."""

    name: str
    encoder: str
    """Folder of a pre-training run, of `rspipe weights import`, or of Hugging Face; or timm's:
    `timm/NAME` with the weights that timm downloads, `timm/NAME@FILE`, `timm/NAME@random`."""
    beside: dict[str, str] = Field(default_factory=dict)
    """Further encoders to judge in the same table: label and place, as `encoder`."""
    data: str
    """Folder whose subfolders are data sets in their published layouts."""
    benchmarks: Literal["auto"] | tuple[str, ...] = "auto"
    """Names of subfolders; `auto`: every labelled one whose card declares benchmark splits."""
    contamination: Literal["auto", "none"] | tuple[str, ...] = "auto"
    """What tells which test images the encoder may have seen: folders of audits (`rspipe audit
    CORPUS --against BENCHMARK`) and of corpora. `auto`: the corpus of the run, if it is there."""
    out: str | None = None
    """Folder of the results; null: data/results/<name>."""
    published: tuple[Published, ...] = ()
    """Figures of the literature, printed below the recipe's own."""
    what: What = What()
    how: How = How()

    @property
    def out_folder(self) -> str:
        """Where the results go."""
        return self.out if self.out is not None else f"data/results/{self.name}"
