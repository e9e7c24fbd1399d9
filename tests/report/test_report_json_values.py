import json
import math

import numpy as np

from nelbo.report.json_values import column, flatten, number


def test_only_finite_numbers_count():
    values = [1, -2.5, None, True, "3", math.nan, math.inf, 10**400]
    assert [number(value) for value in values] == [1.0, -2.5, None, None, None, None, None, None]
    rows = [json.loads('{"a": NaN}'), {"a": 2}, {}]
    np.testing.assert_array_equal(column(rows, "a"), [math.nan, 2.0, math.nan])


def test_flatten_names_the_leaves():
    assert dict(flatten({"a": {"b": 1, "c": {"d": [2]}}, "e": {}})) == {"a.b": 1, "a.c.d": [2], "e": {}}
