"""What people bring along with a value: names in any script, blanks, and paths as consoles write them."""

from __future__ import annotations

import logging
import os
import unicodedata

import pytest

from job.config.given_values import console_path
from job.config.loading import ConfigError, load_config, replace_settings, to_yaml
from job.config.settings import Config


def named(**values):
    return replace_settings(Config(), **values).run_name


# -- names in any script

@pytest.mark.parametrize("domain", ["照片", "卡通", "素描", "фото", "صور", "चित्र", "ภาพ", "dömain"])
def test_a_run_is_named_by_its_domain_in_any_script(domain):
    assert named(target_domain=domain) == "masf_" + domain


@pytest.mark.parametrize("one, other", [
    ("照片 1", "照片-1"), ("照片/1".replace("/", "·"), "照片‧1"), ("★", "☆"), ("照" * 80, "照" * 81), ("影🙂", "影🙃")])
def test_domains_that_differ_have_runs_that_differ(one, other):
    names = [named(target_domain=one), named(target_domain=other)]
    assert names[0] != names[1]
    for name in names:
        assert named(run_name=name) == name and len(name) <= 64 and len(name.encode("utf-8")) <= 200


def test_two_spellings_of_the_same_letters_are_the_same_run():
    both = [unicodedata.normalize(form, "Ångström") for form in ("NFC", "NFD")]
    assert both[0] != both[1]
    assert len({named(target_domain=domain) for domain in both}) == 1
    assert len({named(run_name=name) for name in both}) == 1


@pytest.mark.parametrize("name", ["实验一", "опыт_1", "चित्र-2", "masf_照片"])
def test_a_run_name_may_be_of_any_script(name):
    assert named(run_name=name) == name


@pytest.mark.parametrize("name", ["实验/一", "实验 一", "-实验", "照" * 67, "实\u202e验", "a\\b", "实验\n"])
def test_a_run_name_that_is_no_plain_folder_is_refused(name):
    with pytest.raises(ConfigError, match="letters or digits of any script"):
        named(run_name=name)


# -- blanks

@pytest.mark.parametrize("before, after", [
    ("", " "), (" ", ""), ("", "\n"), ("\t", "\r\n"), ("", "\u3000"), ("\ufeff", "\u200b")])
def test_blanks_around_a_value_are_cut_off_with_a_word(before, after, caplog):
    caplog.set_level(logging.WARNING)
    url = "obs://bucket/my data/"
    config, provenance = load_config(["--data_url=" + before + url + after, "--seed=7"])
    assert config.data.data_url == url and provenance["data_url"] == "--data_url=" + url
    assert [record.getMessage() for record in caplog.records] == [
        f"data_url: blanks around the value were cut off; it is {url!r}"]
    assert len(to_yaml(config, provenance).splitlines()) == len(to_yaml(config).splitlines())


def test_blanks_in_files_and_in_what_the_platform_says_are_cut_off_as_well(tmp_path, caplog):
    (tmp_path / "c.yaml").write_text("weights_path: 'obs://bucket/w.npy '\n")
    config, _ = load_config(["--config=" + str(tmp_path / "c.yaml")],
                            {"train_url": ("obs://bucket/out/\n", "environment variable train_url")})
    assert (config.data.weights_path, config.platform.train_url) == ("obs://bucket/w.npy", "obs://bucket/out/")
    assert len(caplog.records) == 2


def test_blanks_within_a_value_stay(caplog):
    config, _ = load_config(["--data_url=obs://bucket/my data/"])
    assert config.data.data_url == "obs://bucket/my data/" and not caplog.records


# -- paths as consoles write them

@pytest.mark.parametrize("given, meant", [
    ("/bkt-data-x/out/", "obs://bkt-data-x/out/"), ("/bkt-data-x/out", "obs://bkt-data-x/out"),
    ("bkt-data-x/out/", "obs://bkt-data-x/out/"), ("/bkt-data-x/", "obs://bkt-data-x/"),
    ("//bkt-data-x//输出/", "obs://bkt-data-x/输出/")])
def test_a_path_as_consoles_write_it_is_refused_with_the_right_spelling(given, meant):
    with pytest.raises(ConfigError) as caught:
        load_config(["--train_url=" + given])
    assert f"write {meant} for OBS" in str(caught.value) and "no local folder" in str(caught.value)


def test_a_folder_that_can_be_meant_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("results")
    for url in (str(tmp_path / "new" / "out"), "results/new", "./new-folder/out", "../new-folder", "~/new-folder/out",
                "new-folder", "/home/ma-user/modelarts/outputs/train_url_0", "/cache/out/", "obs://bucket/out/"):
        assert load_config(["--train_url=" + url])[0].platform.train_url == url


def test_a_folder_of_which_the_platform_tells_is_taken():
    environ = {"MA_OUTPUTS": '{"outputs": [{"data_path": "/platform-output/train_url_0"}]}'}
    assert console_path("/platform-output/train_url_0", environ) is None
    assert console_path("/platform-output/train_url_0", {}) == "obs://platform-output/train_url_0"


# -- secrets

@pytest.mark.parametrize("name", ["data_url", "train_url", "weights_path"])
@pytest.mark.parametrize("url", [
    "obs://KEY:hush-hush@bucket/a/", " obs://bucket/a.npy?AccessKeyId=KEY&Signature=hush-hush",
    "https://bucket.obs.example.com/a.npy?Expires=1&signature=hush-hush", "s3://bucket/a?X-Amz-Signature=hush-hush",
    "obs://bucket/a?X-Obs-Security-Token=hush-hush"])
def test_a_url_that_holds_a_secret_is_refused_and_not_shown(name, url, caplog):
    with pytest.raises(ConfigError, match=name + ": the URL holds a key or a signature") as raised:
        load_config([f"--{name}={url}", "--seed=none"])
    assert "hush-hush" not in str(raised.value) and "hush-hush" not in caplog.text


def test_a_key_of_the_store_may_have_odd_characters():
    assert load_config(["--data_url=obs://bucket/a@b/c?d=1/"]).config.data.data_url == "obs://bucket/a@b/c?d=1/"
