"""The report at the end of a run: what it shows of the best interval, and what it does without."""
from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from job import final_report as final
from job.best_interval import MOST, BestInterval
from job.config.settings import Config, Data, Interval
from job.reports.image_part import NAME as IMAGE_PART
from job.reports.page.embeddings import Sample, places_of, plans, principal_components
from job.reports.page.mistakes import SIDE, thumbnail
from job.reports.page.plotting import Drawn
from job.reports.report import as_finished
from job.reports.stored_report import stored_report
from masf_core.data.index import DatasetIndex, DomainIndex
from masf_core.records.checkpoints import Progress
from obs_sync import LocalStore, StoreUnavailable
from tests.job.reports.test_report import HISTORY, RUN

CLASSES = ("cat", "<dog>")


def domain(name, count=30):
    rows = np.arange(count, dtype=np.int64)
    return DomainIndex(name, tuple(f"{name}/<{row}>.jpg" for row in rows), (rows % 2).astype(np.int32), rows + 1,
                       train=rows[6:], validation=rows[:6], whole=rows)


INDEX = DatasetIndex("/data", CLASSES, (domain("cartoon"), domain("photo"), domain("sketch")), "f" * 64)
IMAGES = {each.name: np.full((30, 4, 4, 3), [250, 0, 0], np.uint8) for each in INDEX.domains}  # blue


class Model:
    def __init__(self, error=None, ranks=1):
        self.loaded, self.asked, self.error, self.ranks = None, [], error, SimpleNamespace(size=ranks)

    def load(self, arrays):
        self.loaded = arrays

    def features(self, images, rows, wanted):
        if self.error is not None:
            raise self.error
        self.asked.append(len(rows))
        return np.outer(rows, [1.0, 2.0, 0.5]).astype(np.float32) if wanted() else None


def best_interval(iteration=40):
    """One with a mistake in each image whose row is odd, the worse the higher the row."""
    best, rows = BestInterval(), np.arange(30)
    add = best.evaluation()
    for part in (rows[:17], rows[17:]):
        add(part, part % 2, np.zeros(len(part), np.int32), part.astype(np.float32))
    best.keep(iteration, SimpleNamespace(arrays={"fc8/weights": 1, "task_adam/fc8/weights/m": 2}))
    return best


def report(best, model=None, compiles=False, stopped=False, store=None):
    config = Config(data=Data(target_domain="cartoon"), interval=Interval(selection="source_val"))
    run = SimpleNamespace(config=config, record=SimpleNamespace(content=RUN), store=store,
                          console=SimpleNamespace(stop=SimpleNamespace(requested=stopped)))
    return final.final_report(run, model or Model(), SimpleNamespace(compiles=compiles), INDEX, IMAGES,
                              Progress(60, HISTORY, [], {}), best)


def picture(url):
    return Image.open(io.BytesIO(base64.b64decode(url.split(",", 1)[1])))


@pytest.fixture(autouse=True)
def without_other_figures(monkeypatch):
    monkeypatch.setattr("job.reports.report.plans", lambda *_: [])


def test_the_worst_mistakes_are_kept_in_order_and_without_the_moments():
    best = best_interval()
    assert [each.row for each in best.mistakes] == [29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7][:MOST]
    assert best.images == 30 and best.arrays == {"fc8/weights": 1}
    assert best.evaluation() and len(best.mistakes) == MOST  # those of the next interval count once it is the best


def test_mistakes_and_features_of_the_best_network_are_on_the_page():
    model = Model()
    made = report(best_interval(), model)
    assert made.page.count("<img ") == MOST and "cartoon/<wbr>&lt;29&gt;.jpg" in made.page and "<29>" not in made.page
    assert "<b>cat</b> instead of &lt;dog&gt;" in made.page and "among the 30 images" in made.page
    red, _, blue = picture(re.search('src="([^"]+)"', made.page).group(1)).getpixel((1, 1))
    assert blue > 240 and red < 12
    assert model.loaded == {"fc8/weights": 1} and model.asked == [30, 6, 6]
    assert set(made.files) - {IMAGE_PART} in ({"pca_domains.svg", "pca_classes.svg"}, set())  # none without matplotlib


@pytest.fixture
def undrawn(monkeypatch):
    """No figure is drawn, which takes time."""
    monkeypatch.setattr("job.reports.report.draw_all", lambda plans, wanted: Drawn([]))


@pytest.fixture
def stored(tmp_path):
    """The finished run, in a store."""
    store = LocalStore(str(tmp_path))
    report(best_interval()).write(str(tmp_path))
    run = as_finished(RUN, "2026-01-01T03:05:00Z", 60)
    store.write("run.json", json.dumps(dict(run, data={"classes": CLASSES})).encode())
    store.write("metrics.jsonl", "".join(json.dumps(each) + "\n" for each in HISTORY).encode())
    return store


def shown(page):
    """What a page shows of the images: all that is between the confusion and the intervals."""
    return re.search("<h2>Worst mistakes.*?(?=<h2>Intervals)", page, re.DOTALL).group(0)


def test_a_stored_run_is_reported_with_the_same_mistakes_and_features(stored):
    page = stored_report(stored).page
    assert shown(page) == shown(stored.read("report.html").decode()) and page.count("<img ") == MOST
    assert len(stored.read(IMAGE_PART)) < 60000


@pytest.mark.parametrize("change, told", [
    ({"lineage": "another"}, "belongs to another training, not to its best checkpoint"),
    ({"iteration": 20}, "belongs to iteration 20, not to its best checkpoint"),
    ({"mistakes": [{"jpeg": "\"><script>"}]}, "is damaged"), ({"features": {"scores": [[1]]}}, "is damaged"),
    ([1], "is damaged"), (None, "is damaged")])
def test_what_is_stored_of_another_network_or_damaged_is_left_out_and_the_page_says_so(undrawn, stored, change, told):
    if isinstance(change, dict):
        change = dict(json.loads(stored.read(IMAGE_PART).decode()), **change)
    stored.write(IMAGE_PART, b"" if change is None else json.dumps(change).encode())
    page = stored_report(stored).page
    assert "<img " not in page and "<script" not in page
    assert f"are not shown: report.json of the run {told}." in page and "stored none" not in page


def test_a_run_that_has_stored_nothing_for_its_best_checkpoint_is_told_from_a_damaged_file(undrawn, stored):
    stored.delete([IMAGE_PART])
    assert "none for its best checkpoint in report.json: an older version trained it" in stored_report(stored).page


def test_a_name_that_is_no_unicode_is_stored_as_it_is_shown(undrawn, monkeypatch, stored):
    odd = dataclasses.replace(domain("cartoon"), paths=("\udcff.jpg",) * 30)
    monkeypatch.setitem(globals(), "INDEX", dataclasses.replace(INDEX, domains=(odd,) + INDEX.domains[1:]))
    stored.write(IMAGE_PART, report(best_interval()).files[IMAGE_PART].encode())
    assert "udcff.jpg" in stored_report(stored).page


def test_a_running_run_stores_them_at_its_end(undrawn, stored):
    stored.write("run.json", json.dumps(dict(RUN, state="running")).encode())
    stored.delete([IMAGE_PART])
    assert "stores them in report.json when it is done" in stored_report(stored).page


def test_a_best_interval_of_an_earlier_attempt_is_named(tmp_path):
    made = report(best_interval(iteration=20), store=LocalStore(str(tmp_path)))
    assert "an earlier attempt trained the best checkpoint" in made.page and "<img " not in made.page
    assert made.files == {}


def test_what_an_earlier_attempt_has_stored_of_its_best_interval_is_shown_again(undrawn, stored):
    made = report(best_interval(iteration=20), store=stored)
    assert shown(made.page) == shown(stored.read("report.html").decode())
    assert made.files[IMAGE_PART].encode() == stored.read(IMAGE_PART)


@pytest.mark.parametrize("compiles, ranks, told", [
    (True, 1, "would have to compile another graph"), (False, 2, "several ranks trained it")])
def test_a_card_compiles_no_graph_for_the_report_and_no_rank_works_for_others_that_left(compiles, ranks, told):
    model = Model(ranks=ranks)
    made = report(best_interval(), model, compiles=compiles)
    assert model.asked == [] and told in made.page and "<img " in made.page


def test_what_fails_is_left_out_with_a_warning(caplog):
    made = report(best_interval(), Model(RuntimeError("no memory")))
    assert "the features are not in the report (no memory)" in caplog.text
    assert "<img " in made.page and "55.50 %" in made.page


def test_a_request_to_stop_ends_it():
    model = Model()
    assert set(report(best_interval(), model, stopped=True).files) == {IMAGE_PART} and len(model.asked) == 1


def test_the_sample_is_bounded_and_from_every_domain():
    rows = final.sample_rows(INDEX, "cartoon", 30)
    assert {name: len(each) for name, each in rows.items()} == {"cartoon": 10, "photo": 6, "sketch": 6}
    assert rows["cartoon"][0] == 0 and rows["cartoon"][-1] == 29


def test_principal_components_are_those_of_the_covariance():
    features = np.random.RandomState(3).normal(size=(40, 5)) * [5.0, 3.0, 1.0, 0.5, 0.1]
    scores, shares = principal_components(features, 3)
    values, vectors = np.linalg.eigh(np.cov(features.T))
    np.testing.assert_allclose(shares, values[::-1][:3] / values.sum())
    expected = (features - features.mean(0)) @ vectors[:, ::-1][:, :3]
    np.testing.assert_allclose(np.abs(scores), np.abs(expected), atol=1e-9)
    assert (scores[np.abs(scores).argmax(0), range(3)] > 0).all()
    assert np.isfinite(principal_components(np.ones((12, 4)), 50)[0]).all()


def test_features_that_are_few_or_not_finite_are_not_drawn():
    sample = Sample(np.full((20, 3), np.nan, np.float32), ["a"] * 20, np.zeros(20, int))
    assert places_of(sample) is places_of(Sample(np.ones((3, 2)), ["a"] * 3, np.zeros(3, int))) is None


def test_a_thumbnail_is_a_small_picture_of_the_same_colours():
    pixels = np.zeros((300, 200, 3), np.uint8)
    pixels[..., 0] = 250
    image = picture(thumbnail(pixels[:, ::-1]))
    assert max(image.size) == SIDE and image.getpixel((10, 10))[0] > 240 and image.getpixel((10, 10))[2] < 12


def test_an_attempt_that_trains_nothing_keeps_the_report_that_is_there(tmp_path):
    store = LocalStore(str(tmp_path))
    assert not final.has_report(store)
    store.write("report.html", b"<p>")
    assert final.has_report(store)
    store.head = unavailable
    assert not final.has_report(store)


def unavailable(key):
    raise StoreUnavailable("away")


def test_t_sne_is_drawn_where_scikit_learn_is_installed_and_there_is_time(monkeypatch):
    class TSNE:
        def __init__(self, **settings):
            assert settings["random_state"] == 0 and settings["perplexity"] < 20

        def fit_transform(self, scores):
            return scores[:, :2]

    monkeypatch.setitem(sys.modules, "sklearn", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "sklearn.manifold", SimpleNamespace(TSNE=TSNE))
    sample = Sample(np.random.RandomState(1).normal(size=(20, 3)), ["a"] * 20, np.zeros(20, int))
    names = ["pca_domains", "pca_classes", "tsne_domains", "tsne_classes"]
    places = places_of(sample)
    assert [each.name for each in plans(places, CLASSES)] == names
    assert [each.name for each in plans(places, CLASSES, wanted=lambda: False)] == names[:2]
