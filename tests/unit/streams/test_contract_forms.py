"""Contracts as people write them, and those in QoA4ML's forms: nothing is lost in silence."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from schemas.catalogue import Catalogue
from schemas.registrations import ContractRegistered
from streams import registration, text_files
from streams.errors import RegistrationError
from streams.forms import contracts, files, qoa4ml
from streams.forms import schema as form_schema
from workers.handover.errors import DocumentRefused

OCAD = Path(__file__).parents[4] / "shared/data/ocad/contract.yaml"
FILE: dict[str, Any] = {
    "contracts": [
        {
            "contract": "desk",
            "app": "digits",
            "valid_from": "2026-01-01T00:00:00Z",
            "clauses": [
                "accuracy >= 0.9 over 10s",
                "sevens: accuracy@7 >= 0.8 over 1min",
                {
                    "promise": "response_latency.p95 <= 200 over 1m",
                    "objective": 0.99,
                    "period": "7d",
                    "severity": "critical",
                },
                {"metric": "answered", "statistic": "rate", "operator": ">", "threshold": 5,
                 "window": "30s", "service": "mlp"},
            ],
        }
    ]
}  # fmt: skip


def made(content: Any, folder: Path) -> ContractRegistered:
    file = folder / "contracts.json"
    file.write_text(json.dumps(content))
    found = files.entries(file, contracts.FORM)
    (event,) = files.built(
        found, contracts.FORM, lambda plain: registration.contract(plain, {}, 0, undeclared=True)
    )
    return event


def changed(**clause: Any) -> dict[str, Any]:
    (one,) = FILE["contracts"]
    return {**one, "clauses": [{**one["clauses"][2], **clause}]}


def test_clauses_may_be_words_or_tables(tmp_path: Path) -> None:
    event = made(FILE, tmp_path)

    assert [f"{one.name}: {contracts.words(one)}" for one in event.clauses] == [
        "accuracy: accuracy.mean >= 0.9 over 10s",
        "sevens: accuracy.mean@7 >= 0.8 over 1min",
        "response_latency: response_latency.p95 <= 200 over 1min in 0.99 of 7d",
        "answered: answered.rate > 5 over 30s of mlp",
    ]
    assert (event.clauses[2].severity, event.clauses[2].period_ms) == ("critical", 604_800_000)
    assert contracts.undeclared(event) == []
    jsonschema.validate(FILE, contracts.schema())


def test_an_objective_of_five_nines_is_told_as_such(tmp_path: Path) -> None:
    (one,) = made(changed(objective=0.99999), tmp_path).clauses

    assert contracts.words(one).endswith("in 0.99999 of 7d")


@pytest.mark.parametrize("digits", ["9" * 16, "9" * 400])
def test_a_duration_beyond_all_times_is_none(digits: str) -> None:
    with pytest.raises(RegistrationError, match="is no duration; write 10s"):
        contracts.milliseconds(f"{digits}d")


def test_the_form_to_fill_in_is_a_contract(tmp_path: Path) -> None:
    file = tmp_path / "contract.toml"
    file.write_text(form_schema.template(contracts.FORM))
    (entry,) = files.entries(file, contracts.FORM)

    assert worded(registration.contract(entry.plain, {}, 0)) == ["accuracy.mean >= 0.9 over 10s"]
    jsonschema.validate(entry.plain, contracts.schema())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (changed(objective="x"), r"\(desk\): clauses\[0\].objective must be a number: 'x'"),
        (changed(period="soon"), r"clauses\[0\]: period is 'soon'; write 10s"),
        (changed(promise="fast"), r"clauses\[0\]: clause 'fast': write"),
        (changed(threshold=3), r"clauses\[0\]: threshold stands beside promise"),
        (changed(colour="red"), r"clauses\[0\].colour"),
        (changed(promise="accuracy >= 2 over 1s"), "no value meets it: mean of accuracy"),
        ({**FILE["contracts"][0], "clauses": [3]}, r"clauses\[0\]: it must be a text or a table"),
        ({**FILE["contracts"][0], "event_id": "x"}, "event_id is Weir's to fill in"),
        ({**FILE["contracts"][0], "valid_from": "soon"}, "valid_from must be milliseconds"),
    ],
)
def test_mistakes_are_told_with_their_place(content: Any, why: str, tmp_path: Path) -> None:
    with pytest.raises(DocumentRefused, match=rf"contracts.json.*{why}"):
        made(content, tmp_path)


def test_a_version_rises_when_the_words_change() -> None:
    def after(plain: Any, *standing: ContractRegistered) -> ContractRegistered:
        known = Catalogue({ContractRegistered: {one.contract: one for one in standing}})
        return registration.next_contract(plain, known, 0)

    plain = {"contract": "desk", "app": "a", "clauses": ["accuracy >= 0.9 over 10s"]}
    other = {**plain, "clauses": ["accuracy >= 0.8 over 10s"]}
    first = after(plain)
    second = after(other, first)

    assert [one.version for one in (first, after(plain, first), second)] == [1, 1, 2]
    assert after(plain, first).event_id == first.event_id
    assert after({**other, "version": 7}, second).version == 7
    with pytest.raises(RegistrationError, match="version 1 is no newer than 2"):
        after({**plain, "version": 1}, second)


V3: dict[str, Any] = {
    "stakeholders": [
        {"id": "shop", "name": "Shop", "roles": ["ml_consumer"], "provisioning": []},
        {"id": "acme", "name": "Acme", "roles": ["ml_provider"], "provisioning": []},
    ],
    "resources": {"services_specs": [{"id": "detector"}], "ml_specs": {"id": "m"}},
    "quality": {
        "service": [
            {
                "constraint_list": [
                    {
                        "metrics": {"metric_name": "response_time", "unit": "s"},
                        "condition": {"operator": "less_equal", "value": 0.5},
                        "aggregate_function": "MAX",
                    },
                    {
                        "metrics": {"metric_name": "reliability"},
                        "condition": {"operator": "greater_equal", "value": 99},
                        "aggregate_function": "AVERAGE",
                    },
                ]
            }
        ],
        "data": [
            {
                "constraint_list": [
                    {
                        "metrics": {"metric_name": "completeness"},
                        "condition": {"operator": "range", "value": {"min": 0.9, "max": 1}},
                        "aggregate_function": "AVERAGE",
                    },
                    {
                        "metrics": {"metric_name": "none_ratio"},
                        "condition": {"operator": "less_than", "value": 0.1},
                        "aggregate_function": "PRODUCT",
                    },
                ]
            }
        ],
        "security": [{"encryption": {"tls": True}}],
        "interpretability": [{"explainability": {"modes": ["full"]}}],
    },
    "novelty": 1,
}
EARLIER: dict[str, Any] = {
    "stakeholders": {"id": "acme", "roles": ["mlprovider"]},
    "quality": {
        "mlmodels": {"Accuracy": {"operators": ["min"], "value": "98"}},
        "services": {
            "ResponseTime": {"operators": ["max"], "value": "2"},
            "Availability": {"operators": ["min"], "value": "99.5", "grace": 1},
        },
    },
    "interpretability": {"explanability": {"modes": ["full"]}},
}


def imported(content: Any) -> tuple[ContractRegistered, qoa4ml.Translation]:
    assert qoa4ml.is_one(content)
    found = qoa4ml.translated(content, 60_000)
    plain = {"contract": "theirs", "app": "a", **found.plain}
    return registration.contract(plain, {}, 0, undeclared=True), found


def worded(event: ContractRegistered) -> list[str]:
    return [contracts.words(one) for one in event.clauses]


def test_the_form_of_version_3_is_imported() -> None:
    event, found = imported(V3)

    assert worded(event) == [
        "response_latency.max <= 500 over 1min",
        "failure.mean <= 0.01 over 1min",
        "completeness.mean >= 0.9 over 1min",
        "completeness.mean <= 1 over 1min",
    ]
    assert (event.consumer, event.owner, event.explainable) == ("shop", "acme", True)
    assert event.source == qoa4ml.SOURCE
    told = "\n".join(found.left_out)
    for place in (
        "stakeholders[0].provisioning",
        "stakeholders[1].name",
        "resources.services_specs[0]: detector",
        "resources.ml_specs[0]: m",
        "quality.data[0].constraint_list[1]: aggregate PRODUCT",
        "quality.security[0]",
        "novelty: Weir's contracts have no such part",
    ):
        assert place in told
    assert "completeness must be reported or defined" in found.noted[0]


def test_the_earlier_form_is_imported() -> None:
    event, found = imported(EARLIER)

    assert worded(event) == [
        "accuracy.mean >= 0.98 over 1min",
        "response_latency.mean <= 2000 over 1min",
        "availability.mean >= 0.995 over 1min",
    ]
    assert event.owner == "acme"
    assert "quality.services.Availability.grace: a clause has no such part" in found.left_out


@pytest.mark.skipif(not OCAD.exists(), reason="the example of ensemble optimisation is not here")
def test_the_form_of_ensemble_optimisation_is_imported() -> None:
    content = text_files.content(OCAD, DocumentRefused, "")
    event, found = imported(content)

    assert worded(event) == [
        "missRateOfClass1and6.mean <= 0.1 over 1min",
        "accuracy.mean@1 >= 0.9 over 1min",
        "accuracy.mean >= 0.6 over 1min",
        "confidence.mean >= 0.6 over 1min",
        "cost.mean <= 0.9 over 1min",
        "answered.rate >= 60 over 1min",
    ]
    assert {one.objective: one.weight for one in event.weights} == {
        "accuracy": 3.0,
        "confidence": 1.0,
        "cost": 1.0,
    }
    assert event.max_members == 3
    told = "\n".join(found.left_out)
    leaves = [
        f"mlSpecific.{name}.{part}"
        for name, table in content["mlSpecific"].items()
        for part in ("operator", "scale")
        if part in table
    ]
    assert all(leaf in told for leaf in (*leaves, "ensemble.min"))


@pytest.mark.parametrize(
    "content",
    [
        {"quality": []},
        {"quality": {"services": {"ResponseTime": {"operators": ["min"], "value": "300"}}}},
        {"quality": {"services": {"Speed": {"operators": ["min"], "value": "fast"}}}},
        {"mlSpecific": {"m": {"objective": "best", "max_value": 1}}},
        {"stakeholders": ["me"], "resources": 3},
    ],
)
def test_what_cannot_be_a_clause_is_told(content: Any) -> None:
    found = qoa4ml.translated(content, 60_000)

    assert found.plain["clauses"] == []
    assert found.left_out
