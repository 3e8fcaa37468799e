# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rspipe.train import throughput
from rspipe.train.peaks import DATA_SHEETS, Peak, data_sheet, measure
from rspipe.train.throughput import Meter, mfu, peak_memory_bytes

CPU = torch.device("cpu")


class FakeClock:
    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    fake = FakeClock()
    monkeypatch.setattr(throughput, "time", fake)
    return fake


def step(meter, clock, wait_s, work_s):
    with meter.step():
        with meter.waiting():
            clock.now += wait_s
        clock.now += work_s


def test_mfu_is_six_operations_per_multiply_accumulate():
    # ViT-B's MAE: 9.8 GMACs forward, so 58.8 GFLOPs an image; 2,000 images/s on an A100.
    assert mfu(2000, 9_800_000_000, 312e12) == pytest.approx(0.3769, abs=1e-4)


def test_report_is_of_the_steps_since_the_last_one(clock):
    meter = Meter(images_per_step=8, devices=2, macs_per_image=100, peak=Peak(9600.0, "made up"))
    step(meter, clock, wait_s=3, work_s=1)
    meter.read(steps_left=9, device=CPU)
    for _ in range(2):
        step(meter, clock, wait_s=0.5, work_s=1.5)
    clock.now += 100  # a hook, a checkpoint
    found = meter.read(steps_left=6, device=CPU)
    assert found["images_per_s"] == 4.0
    assert found["images_per_s_device"] == 2.0
    assert found["mfu"] == 2.0 * 100 * 6 / 9600
    assert found["data_wait_share"] == 0.25
    assert found["elapsed_s"] == 8.0
    assert found["eta_s"] == pytest.approx(6 * 8 / 3)
    assert (meter.elapsed_s, meter.waited_s) == (8.0, 4.0)


def test_clock_of_a_continued_run_goes_on_but_its_pace_begins_anew(clock):
    meter = Meter(8, 1, 100, Peak(1.0, "made up"))
    meter.elapsed_s, meter.waited_s = 1000.0, 10.0
    step(meter, clock, wait_s=0, work_s=2)
    found = meter.read(steps_left=5, device=CPU)
    assert found["elapsed_s"] == 1002.0
    assert found["eta_s"] == 10.0


@pytest.mark.parametrize(
    ("name", "tflops"),
    [
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA H100 80GB HBM3", 989.5),
        ("NVIDIA H100 PCIe", 756.5),
        ("NVIDIA H200", 989.5),
        ("NVIDIA L40S", 362.05),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("AMD Instinct MI300X", 1307.4),
    ],
)
def test_peak_is_that_of_the_very_device(name, tflops):
    assert data_sheet(name, "bf16").flops_per_s == tflops * 1e12
    assert data_sheet(name, "fp32").flops_per_s < data_sheet(name, "bf16").flops_per_s


def test_every_data_sheet_can_be_found():
    for index, (part, *_) in enumerate(DATA_SHEETS):
        first = next(i for i, (other, *_) in enumerate(DATA_SHEETS) if other in part)
        assert first == index, f"{part} is hidden by {DATA_SHEETS[first][0]}"


def test_peak_of_an_unknown_device_is_measured_and_says_so():
    assert data_sheet("abacus", "bf16") is None
    found = measure(CPU, "fp32")
    assert 1e8 < found.flops_per_s < 1e15
    assert found.source.startswith("measured")


def test_peak_memory_is_in_bytes():
    assert 50 * 2**20 < peak_memory_bytes(CPU) < 2**45
