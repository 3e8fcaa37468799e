# SPDX-License-Identifier: Apache-2.0
"""Scenes: probes on frozen features, curves by number of labels, fine-tuning.

`probing` (over `probes/`), `label_curves` and `fine_tuning` (over `tuning/`) are the evaluators.
"""
