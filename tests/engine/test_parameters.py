"""Parameters mean in a worker what they mean in the catalog, for everything that is installed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import BaseModel

from curate.catalog.params import Params
from curate.engine.tasks.task import load_params, serialize_params
from curate.errors import CurateError
from curate.steps import Registry
from tests.parameters import parameters, parts, schema_of

PARTS = list(parts(Registry.installed()))


def given_fields(value: Any) -> Any:
    """What of parameters was given, however deep."""
    if isinstance(value, BaseModel):
        return {name: given_fields(getattr(value, name)) for name in sorted(value.model_fields_set)}
    if isinstance(value, dict):
        return {key: given_fields(inner) for key, inner in value.items()}
    return [given_fields(inner) for inner in value] if isinstance(value, list | tuple) else None


def identity(params: Params) -> Any:
    try:
        return params.identity()
    except CurateError as error:  # it counts a file by its content, and there is none
        return str(error)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """Addresses of nobody are generated too: asking them again needs no wait here."""
    monkeypatch.setattr("sources.remote.web.PAUSE", 0.0)


@pytest.mark.parametrize(("group", "name", "part"), PARTS, ids=[f"{group}-{name}" for group, name, _ in PARTS])
def test_a_worker_gets_the_parameters_of_the_catalog(group, name, part):
    drawn: set[str] = set()

    def check(raw: dict[str, Any]) -> None:
        drawn.update(raw)
        made = part.model_validate(raw)
        there = load_params(json.loads(json.dumps(serialize_params(made))))
        assert there == made
        assert given_fields(there) == given_fields(made)
        assert identity(there) == identity(made)
        assert there.decision() == made.decision()

    every, limits = set(schema_of(part)["properties"]), {"deadline": None, "suppress_health_check": list(HealthCheck)}
    for examples in (40, 400):  # few suffice nearly always, but each parameter has to be among them
        if not every <= drawn:
            settings(max_examples=examples, **limits)(given(raw=parameters(group, name, part))(check))()
    missing = every - drawn
    assert not missing, (
        f"the generator of parameters has no valid value for {sorted(missing)}: nothing was said of them"
    )
