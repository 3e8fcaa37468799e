"""An encoder at another image size than it was trained at."""

from rspipe.errors import RecipeError
from rspipe.models.encoder import Encoder
from rspipe.models.positions import resize_positions


def at_size(encoder: Encoder, size_px: int | tuple[int, int]) -> Encoder:
    """Copy an encoder, so that it reads images of another size.

    Positions are interpolated, bicubic and antialiased; the class token keeps its own. At the
    size that it has, the copy computes the very same.

    Args:
        encoder: left as it is; the copy shares no tensor with it.
        size_px: side of square images, or (height, width); a multiple of the patch.

    Raises:
        RecipeError: the size is no multiple of the patch.

    Source: Bao et al. 2022 (BEiT), arXiv:2106.08254, and the detectors and segmenters after it.
    """
    patch_px = encoder.config.patch_px
    sides = (size_px, size_px) if isinstance(size_px, int) else size_px
    if any(side % patch_px for side in sides):
        near = " x ".join(str(max(round(side / patch_px), 1) * patch_px) for side in sides)
        raise RecipeError(
            f"images of {sides[0]} x {sides[1]} px are no whole number of the encoder's patches of "
            f"{patch_px} px: set the protocol's crop_px or img_px to a multiple, such as {near}"
        )
    config = type(encoder.config).model_validate({**encoder.config.model_dump(), "img_px": size_px})
    state = {name: tensor.detach().clone() for name, tensor in encoder.vit.state_dict().items()}
    state["pos_embed"] = resize_positions(state["pos_embed"], encoder.config.grid, config.grid)
    copy = Encoder.random(config, seed=0)
    copy.vit.load_state_dict(state, strict=True)
    copy.checkpointed = encoder.checkpointed
    device = next(encoder.parameters()).device
    return copy.to(device).train(encoder.training)
