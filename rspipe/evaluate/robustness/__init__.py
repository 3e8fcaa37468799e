# SPDX-License-Identifier: Apache-2.0
"""What becomes of frozen features and fitted probes when test images are corrupted."""
