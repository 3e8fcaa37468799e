# SPDX-License-Identifier: Apache-2.0
"""Images of a benchmark, read when asked for."""

from rspipe.errors import UnreadableImage
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.detection.tuning.pictures import Rgb
from rspipe.io.images import decode, to_rgb


class BenchmarkImages:
    """Decodes images; what cannot be read is noted by path."""

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark
        self.faults: dict[str, str] = {}

    def read(self, position: int) -> Rgb | None:
        """Decode the image of a record; None: it is among the faults now."""
        path = self.benchmark.records[position].source_path
        try:
            return to_rgb(decode(self.benchmark.storage.read_bytes(path), path))
        except UnreadableImage as error:
            self.faults[path] = error.reason
        except OSError as error:
            self.faults[path] = str(error)
        return None
