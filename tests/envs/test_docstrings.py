"""Every option says what it is, every observation has a table of its own; for scenarios see test_scenarios.py."""

from __future__ import annotations

import ast
import inspect

from drivesim.observations import ENCODERS


def test_every_field_of_a_weight_or_option_is_followed_by_a_sentence() -> None:
    from drivesim import config

    tree = ast.parse(inspect.getsource(config))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for field, after in zip(node.body, [*node.body[1:], None], strict=True):
                if isinstance(field, ast.AnnAssign):
                    assert isinstance(after, ast.Expr), f"{node.name}.{field.target.id} has no sentence"
                    assert after.value.value.rstrip().endswith("."), f"{node.name}.{field.target.id}"


def test_the_observations_have_names_and_tables_of_their_own() -> None:
    for name, encoder in ENCODERS.items():
        assert encoder.name == name
        assert f'`"{name}"`' in (inspect.getmodule(encoder.encode) or ENCODERS).__doc__
