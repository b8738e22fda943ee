import os
import tomllib

import pytest

from code_index.core.errors import SettingsError
from code_index.embedding.configuration import EmbedderConfig
from code_index.index.settings import Settings, load_settings, settings_template


@pytest.fixture
def path(tmp_path):
    return tmp_path / "settings.toml"


def test_without_a_file_the_defaults_hold(path):
    assert load_settings(path, {}) == Settings()


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(path):
    path.write_text('parse_workers = 3\nmodel = "file"\n')

    settings = load_settings(path, {"CODE_INDEX_MODEL": "environment"})

    assert (settings.parse_workers, settings.embedder.model) == (3, "environment")
    assert settings.embedder.device == Settings().embedder.device


def test_the_environment_is_that_of_the_process_by_default(path, monkeypatch):
    monkeypatch.setenv("CODE_INDEX_PARSE_WORKERS", "5")

    assert load_settings(path).parse_workers == 5


def test_patterns_in_the_environment_stand_one_a_line(path):
    assert load_settings(path, {"CODE_INDEX_IGNORE": "*.min.js\n\n/my vendor/\n"}).ignore == (
        "*.min.js",
        "/my vendor/",
    )


def test_patterns_in_the_file_are_a_list(path):
    path.write_text('ignore = ["a", "b c"]')

    assert load_settings(path, {}).ignore == ("a", "b c")


def test_the_template_names_every_setting_and_says_what_holds_without_it(path):
    template = settings_template()
    path.write_text(template)

    assert tomllib.loads(template) == {}
    assert load_settings(path, {}) == Settings()
    names = [line.split(" = ")[0][2:] for line in template.splitlines() if " = " in line]
    assert names == list(Settings.fields_by_setting())
    assert all(f"CODE_INDEX_{name.upper()}\n" in template for name in names)
    assert all(field.description in template for field in Settings.fields_by_setting().values())


def test_the_template_with_every_line_uncommented_gives_the_defaults(path):
    lines = [line[2:] for line in settings_template().splitlines() if " = " in line]
    path.write_text("\n".join(lines))

    assert load_settings(path, {}) == Settings()
    assert len(tomllib.loads(path.read_text())) == len(Settings.fields_by_setting())


def test_a_list_of_patterns_as_a_default_would_be_written_as_toml(monkeypatch):
    monkeypatch.setattr(Settings.model_fields["ignore"], "default", ("a", "b"))

    assert '# ignore = ["a", "b"]' in settings_template()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("parse_workers = -1", "parse_workers = -1: Input should be greater than or equal to 0"),
        ("parse_timeout_s = inf", "parse_timeout_s = inf: "),
        ("parse_timeout_s = nan", "parse_timeout_s = nan: "),
        ("parse_timeout_s = 1e300", "parse_timeout_s = 1e+300: "),
        ("checkpoint_s = inf", "checkpoint_s = inf: "),
        ("parse_memory_bytes = 1180591620717411303424", "parse_memory_bytes = 1180591620717411303424: "),
        ('device = "tpu"', "device = 'tpu': "),
        ('model = ""', "model = '': "),
        ("ignore = [1]", "ignore = 1: "),
        ("ignore = 'a'", "ignore = 'a': "),
        ("max_file_bits = 1", "there is no setting 'max_file_bits'. Known: max_file_bytes, "),
        ("a = ", "is not valid TOML: "),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(path, text, message):
    path.write_text(text)

    with pytest.raises(SettingsError) as refusal:
        load_settings(path, {})

    assert message in str(refusal.value)
    assert str(refusal.value).startswith(str(path))


def test_a_wrong_value_of_the_environment_is_refused_by_the_variables_name(path):
    path.write_text("parse_workers = 2")

    with pytest.raises(SettingsError, match="environment variable CODE_INDEX_PARSE_WORKERS: parse_workers = 'many'"):
        load_settings(path, {"CODE_INDEX_PARSE_WORKERS": "many"})


def test_limits_that_contradict_each_other_are_refused_with_both_places(path):
    path.write_text("min_chunk_characters = 500")

    with pytest.raises(SettingsError) as refusal:
        load_settings(path, {"CODE_INDEX_MAX_CHUNK_CHARACTERS": "499"})

    assert str(path) in str(refusal.value)
    assert "CODE_INDEX_MAX_CHUNK_CHARACTERS" in str(refusal.value)
    assert "min_chunk_characters = 500 is above max_chunk_characters = 499" in str(refusal.value)


def test_a_backend_and_a_device_that_contradict_each_other_are_refused_with_both_places(path):
    path.write_text('backend = "onnx"')

    with pytest.raises(SettingsError, match="backend onnx runs on the CPU") as refusal:
        load_settings(path, {"CODE_INDEX_DEVICE": "cuda:1"})

    assert str(refusal.value).startswith(f"{path} and environment variable CODE_INDEX_DEVICE: ")


def test_settings_of_the_embedder_stand_among_the_others_by_their_own_names(path):
    path.write_text("embed_threads = 2")

    assert load_settings(path, {"CODE_INDEX_MODEL_REVISION": "v2"}).embedder == EmbedderConfig(threads=2, revision="v2")
    for name in ("threads", "revision", "embedder"):
        path.write_text(f"{name} = {{}}")
        with pytest.raises(SettingsError, match=f"there is no setting '{name}'"):
            load_settings(path, {})


def test_equal_limits_are_allowed(path):
    path.write_text("min_chunk_characters = 500\nmax_chunk_characters = 500")

    assert load_settings(path, {}).max_chunk_characters == 500


def test_a_file_in_another_encoding_is_refused(path):
    path.write_bytes('model = "größe"'.encode("latin-1"))

    with pytest.raises(SettingsError, match="is not valid TOML"):
        load_settings(path, {})


def test_a_folder_in_place_of_the_file_is_refused(path):
    path.mkdir()

    with pytest.raises(SettingsError, match="cannot be read: not a regular file"):
        load_settings(path, {})


def test_a_pipe_in_place_of_the_file_is_refused_at_once(path):
    os.mkfifo(path)

    with pytest.raises(SettingsError, match="cannot be read: not a regular file"):
        load_settings(path, {})


def test_settings_nested_too_deep_are_refused(path):
    path.write_text("ignore = " + "[" * 100_000)

    with pytest.raises(SettingsError, match="is not valid TOML"):
        load_settings(path, {})


def test_settings_cannot_be_changed_after_they_were_checked():
    with pytest.raises(ValueError, match="frozen"):
        Settings().parse_workers = -1
