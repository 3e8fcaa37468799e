"""Speed of MAE against SelectiveMAE: forward and backward, on made images, in one process.

    python tests/benchmarks/bench_pretrain.py --device cpu --models vit_small --batch 32 --steps 3

The last line is JSON. The count of multiply-accumulates says what can be expected; a ratio far
from it has another cause (attention kernels, memory, a busy machine).
"""

import argparse
import gc
import json
import platform
import resource
import time

import torch

from rspipe.models.encoder import EncoderConfig
from rspipe.objectives import Objective, ObjectiveConfig, build
from rspipe.objectives.mae import MAEConfig
from rspipe.objectives.selective_mae import SelectiveMAEConfig
from rspipe.train.hardware import computing, resolve_device, resolve_precision

# Encoder width, depth, heads, and width and heads of both decoders, as released.
SHAPES = {
    "vit_small": (384, 12, 6, 256, 8),
    "vit_base": (768, 12, 12, 512, 16),
    "vit_large": (1024, 24, 16, 512, 16),
}


def objectives(model: str) -> tuple[EncoderConfig, dict[str, ObjectiveConfig]]:
    width, depth, heads, decoder_width, decoder_heads = SHAPES[model]
    decoder = {"decoder_width": decoder_width, "decoder_heads": decoder_heads}
    encoder = EncoderConfig(width=width, depth=depth, heads=heads)
    # The cheaper one first: on a CPU the peak of a process can only rise.
    return encoder, {
        "selective_mae": SelectiveMAEConfig(**decoder),
        "mae": MAEConfig(**decoder),
    }


def pass_once(objective: Objective, images: torch.Tensor, precision: str, step: int) -> None:
    objective.zero_grad(set_to_none=True)
    with computing(images.device, precision):
        loss = objective(images, 0.5, torch.Generator().manual_seed(step)).loss
    loss.backward()
    if images.device.type == "cuda":
        torch.cuda.synchronize()


def measure(objective: Objective, images: torch.Tensor, precision: str, steps: int) -> dict:
    on_gpu = images.device.type == "cuda"
    pass_once(objective, images, precision, step=0)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for step in range(steps):
        start = time.perf_counter()
        pass_once(objective, images, precision, step)
        seconds.append(time.perf_counter() - start)
    # The fastest pass: on a shared machine the others measure the neighbours.
    peak = (
        torch.cuda.max_memory_allocated()
        if on_gpu
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    return {
        "images_per_s": round(len(images) / min(seconds), 2),
        "gmacs": round(objective.macs_per_image() / 1e9, 3),
        "peak_gib": round(peak / 2**30, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--models", default="vit_small", help=f"comma list of {', '.join(SHAPES)}")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--precision", default="auto", choices=["auto", "bf16", "fp32"])
    args = parser.parse_args()
    device = resolve_device(args.device)
    precision = resolve_precision(args.precision, device)
    images = torch.randn(args.batch, 3, 224, 224, device=device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    report = {
        "device": f"{device} {name}".strip(),
        "precision": precision,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "batch": args.batch,
        "models": {},
    }
    print(f"{report['device']}, {precision}, batch {args.batch}")
    print(
        f"{'model':10} {'objective':14} {'images/s':>9} {'GMACs':>7} {'peak GiB':>9} "
        f"{'speed':>6} {'MACs':>6}  (against MAE)"
    )
    for model in args.models.split(","):
        encoder, configs = objectives(model)
        rows = {}
        for key, config in configs.items():
            objective = build(config, encoder, seed=0).to(device)
            rows[key] = measure(objective, images, precision, args.steps)
            del objective
            gc.collect()
        base = rows["mae"]
        for key, row in rows.items():
            row["speed_ratio"] = round(row["images_per_s"] / base["images_per_s"], 3)
            row["macs_ratio"] = round(base["gmacs"] / row["gmacs"], 3)
            print(
                f"{model:10} {key:14} {row['images_per_s']:9.1f} {row['gmacs']:7.2f} "
                f"{row['peak_gib']:9.2f} {row['speed_ratio']:5.2f}x {row['macs_ratio']:5.2f}x"
            )
        report["models"][model] = rows
    print(json.dumps(report))


if __name__ == "__main__":
    main()
