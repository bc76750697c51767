"""Settings: every way of saying them says the same, and nothing unknown passes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from streams.errors import SettingsError
from streams.settings import load, unknown_variables
from workers.settings import KafkaSettings, LocalSettings, NodeSection, Settings

words = st.text("abcXYZ0189-_. {}[]\"'=:,/äλ", max_size=20)
nodes = st.builds(
    NodeSection,
    name=words,
    cpu_milli=st.integers(1, 10**6),
    memory_mib=st.integers(1, 10**6),
    speed=st.floats(0.01, 10),
    labels=st.dictionaries(words, words, max_size=3),
)
whole = st.builds(
    Settings,
    kafka=st.builds(
        KafkaSettings,
        bootstrap=words,
        sasl_password=words.map(SecretStr),
        replication=st.integers(1, 5),
    ),
    local=st.builds(LocalSettings, nodes=st.lists(nodes, max_size=3).map(tuple)),
    data_dir=st.sampled_from([Path("/var/weir"), Path("here")]),
    log_json=st.booleans(),
)


@given(whole)
def test_environment_gives_a_child_the_same_settings(settings: Settings) -> None:
    assert load(environ=settings.environment()) == settings


def test_file_gives_values_and_variables_win(tmp_path: Path) -> None:
    config = tmp_path / "weir.toml"
    config.write_text(
        'log_level = "DEBUG"\n[kafka]\nbootstrap = "a:1"\nreplication = 3\n'
        '[[local.nodes]]\nname = "n"\ncpu_milli = 1\nmemory_mib = 2\nlabels = {zone = "x"}\n'
    )
    settings = load(config, {"WEIR_KAFKA__BOOTSTRAP": "b:2", "HOME": "/nowhere"})
    assert settings.kafka.bootstrap == "b:2"
    assert settings.kafka.replication == 3
    assert settings.log_level == "DEBUG"
    assert settings.local.nodes[0].labels == {"zone": "x"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WEIR_KAFAK__BOOTSTRAP", "a:1"),
        ("WEIR_LOGLEVEL", "INFO"),
        ("WEIR_KAFKA__BOOTSTRP", "a:1"),
        ("WEIR_KAFKA__REPLICATION", "none"),
        ("WEIR_LOG_LEVEL", "LOUD"),
        ("WEIR_CLICKHOUSE__PORT", "99999"),
        ("WEIR_LOCAL__NODES", "not json"),
        ("WEIR_LOCAL__NODES", '[{"name": "n"}]'),
    ],
)
def test_unusable_variables_are_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ={variable: value})
    assert variable.rsplit("__", maxsplit=1)[-1].lower() in str(caught.value).lower()


@pytest.mark.parametrize("text", ["[kafka]\nbootstrp = 'a'", "[kafak]\n", "log_level = ", "\xff"])
def test_unusable_files_are_refused(tmp_path: Path, text: str) -> None:
    config = tmp_path / "weir.toml"
    config.write_text(text, "latin-1")
    with pytest.raises(SettingsError):
        load(config, {})


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"missing\.toml"):
        load(tmp_path / "missing.toml", {})


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("WEIR_KAFKA__BOOTSTRP", "a", "did you mean WEIR_KAFKA__BOOTSTRAP?"),
        ("WEIR_NOTHING_LIKE_IT", "a", "unset it; `weir config` lists all"),
        ("WEIR_KAFKA__REPLICATION", "none", "is 'none': it should be a valid integer"),
        ("WEIR_KAFKA__REPLICATION", "0", "by default it is 1"),
        ("WEIR_LOCAL__NODES", '[{"name": "n"}]', "(0.cpu_milli): field required"),
        ("WEIR_LOCAL__NODES", "not json", "WEIR_LOCAL__NODES is no JSON"),
    ],
)
def test_what_is_wrong_is_told_with_what_would_be_right(
    variable: str, value: str, told: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ={variable: value})
    assert str(caught.value).startswith(variable)
    assert told in str(caught.value)


def test_a_value_of_a_file_is_told_by_file_section_and_key(tmp_path: Path) -> None:
    config = tmp_path / "weir.toml"
    config.write_text('[kafka]\nbootstrp = "a"\nreplication = "x"\nsasl_password = 7\n')
    with pytest.raises(SettingsError) as caught:
        load(config, {})
    assert f"bootstrp in section [kafka] of {config} (WEIR_KAFKA__BOOTSTRP)" in str(caught.value)
    assert "did you mean kafka.bootstrap?" in str(caught.value)
    assert "(WEIR_KAFKA__SASL_PASSWORD) is ***" in str(caught.value)


def test_unknown_variables_are_told_one_by_one() -> None:
    found = unknown_variables(
        {"WEIR_KAFAK": "1", "WEIR_CONFIG": "f", "WEIR_LOG_LEVEL": "x", "A": ""}
    )
    assert list(found) == ["WEIR_KAFAK"]
