# SPDX-License-Identifier: Apache-2.0
"""Objects in horizontal and oriented boxes.

Evaluators: `horizontal/` and `oriented/` train the encoder too, over `tuning/` (loop, windows);
`dense_evaluator` trains a head on frozen features (`dense_head`); `blob_evaluators` are the floor
(`blobs`). `box_kinds` scores all of them alike, over `boxes/` (geometry) and `average_precision/`;
`examples` says which detections are kept for pictures.
"""
