# SPDX-License-Identifier: Apache-2.0
import numba
import numpy as np

from rspipe.curate import compiled as module
from rspipe.curate.compiled import compiled


def add_one(values):
    return values + 1


def test_a_compiled_function_is_the_same_function():
    np.testing.assert_array_equal(compiled(add_one)(np.arange(3)), add_one(np.arange(3)))


def test_where_no_cache_can_be_written_it_compiles_all_the_same(monkeypatch):
    def njit_without_a_cache_folder(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function 'add_one': no locator available")
        return numba.njit(**options)

    monkeypatch.setattr(module, "njit", njit_without_a_cache_folder)
    assert compiled(add_one)(1) == 2
