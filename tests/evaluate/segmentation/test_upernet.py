# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from rspipe.evaluate.segmentation.upernet import AuxiliaryFCN, UPerNet

# Random weights and levels, and what UperNetHead of transformers 4.57.1, which reads the
# checkpoints of mmsegmentation, makes of them; keys are its own.
ORACLE = Path(__file__).parents[1] / "oracles" / "upernet_head_s1.npz"
NAMES = {
    "psp_modules": "pooled",
    "bottleneck": "context",
    "lateral_convs": "laterals",
    "fpn_convs": "smooth",
    "fpn_bottleneck": "fuse",
    "classifier": "classify",
}


def levels(width, side=24, batch=1):
    return {str(i): torch.randn(batch, width, side >> i, side >> i) for i in range(4)}


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_parameters_of_upernet_512_on_vit_b_and_vit_l():
    # Pooled 4 x (1 x 1 + norm), context 3 x 3 of D + 4 C, three laterals, three 3 x 3, fusion of
    # 4 C, classes: summed by hand from the definition.
    for width, want in ((768, 32_259_591), (1024, 34_356_743)):
        C, K = 512, 7
        pooled = 4 * (width * C + 2 * C)
        context = (width + 4 * C) * C * 9 + 2 * C
        laterals = 3 * (width * C + 2 * C)
        smooth = 3 * (C * C * 9 + 2 * C)
        fuse = 4 * C * C * 9 + 2 * C
        assert pooled + context + laterals + smooth + fuse + C * K + K == want
        with torch.device("meta"):
            assert count(UPerNet([width] * 4, K)) == want


def test_layer_list_is_the_reference_s():
    with torch.device("meta"):
        head = UPerNet([768] * 4, 7)
    convolutions = [m for m in head.modules() if isinstance(m, nn.Conv2d)]
    shapes = [(m.in_channels, m.out_channels, m.kernel_size[0], m.bias is None)
              for m in convolutions]  # fmt: skip
    assert shapes == [
        *[(768, 512, 1, True)] * 4, (2816, 512, 3, True), *[(768, 512, 1, True)] * 3,
        *[(512, 512, 3, True)] * 3, (2048, 512, 3, True), (512, 7, 1, False),
    ]  # fmt: skip
    norms = [m for m in head.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 12
    assert head.drop.p == 0.1


def test_output_equals_the_definition_written_out():
    torch.manual_seed(0)
    head, given = UPerNet([6] * 4, 3, channels=4).eval(), levels(6)

    def block(part, x):
        x = F.conv2d(x, part[0].weight, padding=part[0].kernel_size[0] // 2)
        norm = part[1]
        return F.relu((x - norm.running_mean[:, None, None])
                      / (norm.running_var[:, None, None] + norm.eps).sqrt())  # fmt: skip

    def up(x, size):
        return F.interpolate(x, size=size, mode="bilinear", align_corners=False)

    top = given["3"]
    branches = [
        up(block(head.pooled[i][1], F.adaptive_avg_pool2d(top, side)), top.shape[2:])
        for i, side in enumerate((1, 2, 3, 6))
    ]
    p3 = block(head.context, torch.cat([top, *branches], 1))
    p2 = block(head.laterals[2], given["2"]) + up(p3, (6, 6))
    p1 = block(head.laterals[1], given["1"]) + up(p2, (12, 12))
    p0 = block(head.laterals[0], given["0"]) + up(p1, (24, 24))
    f = [block(head.smooth[i], p) for i, p in enumerate((p0, p1, p2))]
    joined = torch.cat([f[0], *(up(x, (24, 24)) for x in (f[1], f[2], p3))], 1)
    want = F.conv2d(block(head.fuse, joined), head.classify.weight, head.classify.bias)
    torch.testing.assert_close(head(given), want)


def test_output_equals_the_released_head_with_its_weights():
    oracle = np.load(ORACLE)
    head = UPerNet([6] * 4, 3, channels=4).eval()
    state = {}
    for key in oracle.files:
        if key.startswith("weights."):
            part, _, rest = key.removeprefix("weights.").partition(".")
            rest = rest.replace("conv.", "0.").replace("batch_norm.", "1.")
            state[f"{NAMES[part]}.{rest}"] = torch.from_numpy(oracle[key])
    counters = {k: v for k, v in head.state_dict().items() if k.endswith("num_batches_tracked")}
    head.load_state_dict({**state, **counters}, strict=True)
    found = head({str(i): torch.from_numpy(oracle[f"level_{i}"]) for i in range(4)})
    torch.testing.assert_close(found, torch.from_numpy(oracle["output"]), rtol=0, atol=1e-6)


def test_every_level_reaches_the_logits():
    given = {key: value.requires_grad_() for key, value in levels(6).items()}
    torch.autograd.backward(UPerNet([6] * 4, 3, channels=4).eval()(given).abs().sum())
    assert all(value.grad.abs().sum() > 0 for value in given.values())


def test_auxiliary_head_reads_the_third_level_alone():
    head = AuxiliaryFCN(768, 7)
    assert count(head) == 768 * 256 * 9 + 2 * 256 + 256 * 7 + 7
    given = {key: value.requires_grad_() for key, value in levels(768, side=8).items()}
    torch.autograd.backward(head.eval()(given).sum())
    assert [value.grad is not None for value in given.values()] == [False, False, True, False]
