# SPDX-License-Identifier: Apache-2.0
"""Change of accuracy by severity."""

import xml.etree.ElementTree as ET

from rspipe.report.robustness_section import is_corrupted, robustness_of

LOOKS = {"pretrained": "pretrained", "random": "random"}


def corruption(kind, severity, change):
    triple = {"ci_low": change - 0.1, "ci_high": change + 0.1}
    return {
        "kind": kind,
        "severity": severity,
        "value": 0.6,
        "change": {"value": change, **triple},
        "feature_distance": {"value": 0.02, "ci_low": 0.01, "ci_high": 0.03},
    }


def lines(*corruptions):
    extra = {"corruptions": list(corruptions), "feature_distance_between_images": 0.3}
    said = {"benchmark": "coasts", "protocol": "knn_corrupted", "extra": extra}
    return {name: {**said, "encoder": name} for name in LOOKS}


def test_harder_stands_to_the_right_whatever_the_unit_and_clean_is_no_change():
    every = lines(
        corruption("jpeg", 10.0, -0.3),
        corruption("jpeg", 90.0, -0.1),
        corruption("haze", 0.5, 0.05),
    )
    (found,) = robustness_of([every], LOOKS)
    assert (found.benchmark, found.probe) == ("coasts", "knn")
    assert [title for title, _ in found.charts] == ["JPEG", "Haze"]
    texts = [e.text for e in ET.fromstring(found.charts[0][1]).iter() if e.text]
    assert texts.index("clean") < texts.index("90") < texts.index("10")
    line = next(e for e in ET.fromstring(found.charts[0][1]).iter() if e.get("points"))
    heights = [float(point.split(",")[1]) for point in line.get("points").split()]
    assert heights == sorted(heights)  # down the page: ever less accuracy


def test_a_step_of_an_attack_is_told_in_255ths():
    (found,) = robustness_of([lines(corruption("pgd", 2 / 255, -0.2))], LOOKS)
    assert found.effects[0].words == "PGD on features, epsilon, 255ths 2"
    accuracy, change, distance = found.effects[0].values["random"]
    assert (accuracy.value, change.value, distance.value) == (0.6, -0.2, 0.02)
    assert found.between["random"] == 0.3


def test_plain_scores_are_no_robustness():
    plain = {"pretrained": {"benchmark": "coasts", "protocol": "knn", "extra": {}}}
    assert not is_corrupted(plain)
    assert robustness_of([plain], LOOKS) == ()
