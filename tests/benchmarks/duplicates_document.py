# SPDX-License-Identifier: Apache-2.0
"""The document that `bench_duplicates` writes."""

from pathlib import Path

import jinja2
import numpy as np

from rspipe.schema import ORIENTATIONS
from tests.benchmarks.planted_copies import REQUIRED

UPRIGHT = [0]


def percent(value):
    return f"{100 * value:.2f}"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(entry) for entry in line) + " |" for line in lines)


def recall_table(scores, mask):
    rows = [
        [
            f"{name}{' *' if name in REQUIRED else ''}",
            percent(by["hash"].recall(mask)),
            percent(by["hash"].precision),
            percent(by["verified"].recall(mask)),
            percent(min(by["verified"].recall(mask, [k]) for k in range(len(ORIENTATIONS)))),
            percent(by["verified"].precision),
            percent(by["imagehash"].recall(mask, UPRIGHT)),
            percent(by["imagehash"].recall(mask)),
            percent(by["imagehash"].precision),
            percent(by["imagededup"].recall(mask, UPRIGHT)),
            percent(by["imagededup"].recall(mask)),
            percent(by["imagededup"].precision),
        ]
        for name, by in scores.items()
    ]
    head = [
        "transform",
        "hash: R",
        "hash: P",
        "**R**",
        "R, worst turn",
        "**P**",
        "imagehash: R upright",
        "R",
        "P",
        "imagededup: R upright",
        "R",
        "P",
    ]
    return table(head, rows)


def ground_table(tiles, masks, scores):
    kinds = np.array([tile.kind for tile in tiles])
    required = [scores[name]["verified"] for name in REQUIRED]
    rows = []
    for kind in sorted(set(kinds)):
        own = kinds == kind
        kept, faint = own & masks["kept"], own & masks["faint"]
        found = [s.recall(kept) for s in required] if kept.any() else [float("nan")]
        rows.append(
            [
                kind,
                own.sum(),
                own.sum() - kept.sum(),
                faint.sum(),
                percent(np.mean(found)),
                percent(np.min(found)),
            ]
        )
    head = ["ground", "tiles", "blank", "faint", "mean R, required", "R, worst transform"]
    return table(head, rows)


def write(context, tiles, masks, scores, judge, others, result):
    """Fill `duplicates.md.j2`."""
    false = others["false"]
    strangers = [
        ["rspipe: close hashes, 8 orientations, four frames", len(false["hash"])],
        ["rspipe: verified", len(false["verified"])],
        ["imagehash, 4 bits, upright", len(false["imagehash"])],
        ["imagededup, 10 bits, upright", len(false["imagededup"])],
    ]
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    template = environment.from_string(Path(__file__).with_name("duplicates.md.j2").read_text())
    return template.render(
        context,
        result=result,
        count=len(tiles),
        transforms=len(scores),
        masks={name: int(mask.sum()) for name, mask in masks.items()},
        percent=percent,
        settled=judge.settled(),
        content_table=recall_table(scores, masks["content"]),
        faint_table=recall_table(scores, masks["faint"]),
        ground_table=ground_table(tiles, masks, scores),
        other_count=len(others["tiles"]),
        strangers_table=table(["method", "false pairs"], strangers),
        listed=[
            ", ".join(f"{others['tiles'][i].kind} {others['tiles'][i].name}" for i in pair)
            for pair in false["verified"]
        ],
    )
