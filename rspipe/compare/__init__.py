# SPDX-License-Identifier: Apache-2.0
"""Compare pre-training methods: several objectives and seeds at equal compute, judged alike."""
