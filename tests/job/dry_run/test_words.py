"""The words of `python -m job dry-run`: mistakes are told before anything is made."""

from __future__ import annotations

import pytest

from job import cli
from job.commands.dry_run import words_of
from job.dry_run.hints import within_quotes
from job.errors import ConfigError


@pytest.mark.parametrize("words, told", [
    (["train_iterations=20"], "with --set, as in --set train_iterations=20"),
    (["--train_iterations", "20"], "with --set, as in --set train_iterations=VALUE"),
    (["--fault=storm"], "unknown argument --fault=storm; did you mean --faults?"),
    (["--set", "FAULT=storm"], "not a setting, but a variable of make: make dry-run FAULTS=storm"),
    (["--set", "clipNorm=1"], "'clipNorm', of the published port: gradients are always clipped"),
    (["--set", "sed=1"], "unknown setting 'sed'; did you mean 'seed'?"),
    (["--set", "--seed=1"], "expected"),
    (["--set", "seed"], "--set seed: expected name=value"),
    (["--set_text", "seed=1 nonsense_there=2"], "unknown setting 'nonsense_there'"),
    (["--lane", "tf3"], "--lane: invalid choice: 'tf3'"),
    (["--platform_faults", ""], "--platform_faults is empty"),
    (["--faults", " "], "--faults is empty"),
    (["--set_text", "run_name='a"], "quote a value with blanks"),
])
def test_a_word_that_would_change_nothing_is_refused(words, told, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["dry-run"] + words) == 2
    captured = capsys.readouterr()
    assert told in captured.err and "Traceback" not in captured.err
    assert not list(tmp_path.iterdir())


def test_settings_of_make_are_taken_apart_as_by_a_shell():
    assert words_of("seed=3 'domains=a b,c$d' run_name=x") == ["seed=3", "domains=a b,c$d", "run_name=x"]


def test_what_the_hints_write_for_make_is_read_back():
    words = ["domains=a b,c", "run_name=it's"]
    assert words_of(words_of(within_quotes(words))[0]) == words


def test_a_text_without_its_closing_quote_is_an_error():
    with pytest.raises(ConfigError, match="SET="):
        words_of("run_name='a")


@pytest.mark.parametrize("words, told", [
    (["--pacs_root", "nowhere"], "--pacs_root nowhere is not a folder"),
    (["--weights", "nowhere.npy"], "--weights nowhere.npy is not a file"),
    (["--lane=tf2", "--weights", "nowhere.npy"], "WEIGHTS=nowhere.npy is not a file"),
])
def test_a_path_that_does_not_exist_is_named_as_it_was_given(words, told, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["dry-run"] + words) == 4
    assert told in capsys.readouterr().err and not list(tmp_path.iterdir())
