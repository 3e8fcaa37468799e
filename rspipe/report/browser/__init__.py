# SPDX-License-Identifier: Apache-2.0
"""`rspipe corpus browse`: one page to look through a corpus, tile by tile."""
