"""The map of `curate view`: which rows it shows, what its regions lead to, and that it says what it does not show."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import numpy as np
import pytest
from map_bench import TIMES, make_store
from view_bench import CANARY, serving

from curate.engine.store.store import Store
from outputs.view import View
from outputs.view.embedding_map import EmbeddingMap
from outputs.view.map_page import map_page
from outputs.view.reading import Filter, Reader
from outputs.view.server import NotFound


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return make_store(tmp_path_factory.mktemp("map"))


@pytest.fixture(scope="module")
def read(store):
    reader = Reader(store)
    yield reader.version("talk")
    reader.close()


@pytest.fixture(scope="module")
def found(read) -> EmbeddingMap:
    return EmbeddingMap(read)


@pytest.fixture(scope="module")
def client(store):
    with serving(View(store, "talk")) as one:
        yield one


def test_translations_lie_near_each_other(found):
    languages = {point.language for point in found.points}
    assert languages == {"en", "de", "ar", "th", "zh"}  # the encoder does not know Urdu
    assert found.shown == len(found.points) == 5 * 2 * TIMES + 2 and found.looked_at == found.rows
    bread = np.array([point.item in {one.item for one in found.points if "read is" in one.text or "bread" in one.text}
                      for point in found.points])  # fmt: skip
    places = found.layout.points
    away = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(away, np.inf)
    mine = [place for place, point in enumerate(found.points) if "<script>" not in point.text]
    assert np.mean([bread[away[place].argmin()] == bread[place] for place in mine]) > 0.95


def test_clusters_say_their_languages_words_and_texts(found):
    assert sum(one.points for one in found.clusters) == len(found.points)
    words = {word for one in found.clusters for word, _ in one.keywords}
    assert {"bread", "sea", "meer", "البحر"} & words
    assert all(one.typical and one.languages for one in found.clusters)
    assert sum(one.dropped for one in found.clusters) == sum(bool(point.step) for point in found.points) == 1


def test_a_region_is_a_cluster_or_a_rectangle(found):
    for state in ("kept", "dropped"):
        every = {point.id for point in found.points if bool(point.step) == (state == "dropped")}
        assert every and found.inside("0,0,1,1", state) == every
        parts = [found.inside(str(one.number + 1), state) for one in found.clusters]
        assert frozenset.union(*parts) == every and sum(map(len, parts)) == len(every)
    for bad in ("0", "99", "1,2", "0,0,1,2", "a", "٣"):
        with pytest.raises(NotFound, match="neither a cluster"):
            found.inside(bad, "kept")


def test_a_sample_is_the_same_and_holds_whole_items(read):
    one, other = EmbeddingMap(read, 24), EmbeddingMap(read, 24)
    assert one.points == other.points and one.drawn == one.looked_at == 24 < one.rows
    # Items are taken one after the other: only the last may be there in part.
    whole = {point.item: 0 for point in one.points}
    for point in one.points:
        whole[point.item] += 1
    assert sorted(whole.values())[1:] == [5] * (len(whole) - 1)


def test_a_pair_has_a_point_for_each_side(store):
    reader = Reader(store)
    found = EmbeddingMap(reader.version("both"))
    reader.close()
    assert found.shown == 6 and len(found.points) == 12
    assert {point.language for point in found.points} == {"en", "de"}


def test_equal_rows_share_a_point_and_are_counted(store):
    reader = Reader(store)
    read = reader.version("twice")
    found = EmbeddingMap(read)
    assert (found.rows, found.drawn, found.looked_at, found.shown) == (18, 18, 12, 12)  # 6 kept, 6 dropped twice
    assert "6 dropped ones are equal to another dropped row" in map_page(read)
    reader.close()


def test_the_page_says_what_it_shows(client):
    page = client.get("/map")
    assert f"<strong>{5 * 2 * TIMES + 2} of {6 * 2 * TIMES + 2} rows shown</strong>" in page
    assert f"{2 * TIMES} more were looked at and have no vector" in page
    assert 'lang="ar" dir="rtl"' in page and 'lang="th"' in page
    status, _, text = client.ask("/" + quote("bare") + "/map")
    assert status == 200 and "there is no map" in text and "similarity" in text


def test_a_region_leads_to_its_rows(client, found):
    page = client.get("/map")
    numbers = re.findall(r'href="[^"]*/rows\?region=(\d+)"', page)
    assert numbers == [str(one.number + 1) for one in found.clusters]
    first = found.clusters[0]
    rows = client.get("/rows?region=1")
    kept = first.points - first.dropped
    assert f"of {kept}" in rows and '<option value="1" selected>cluster 1</option>' in rows
    ids = set(re.findall(r'data-id="([0-9a-f]{32})"', rows))
    assert ids <= found.inside("1", "kept")
    assert "of 1<" in client.get("/rows?region=0,0,1,1&state=dropped")
    assert client.ask(client.base + "/rows?region=nowhere")[0] == 404
    assert client.get("/rows/count?region=0,0,1,1").replace(",", "") == str(5 * 2 * TIMES + 1)


def test_no_text_of_a_row_is_markup_or_turns_the_line(client, found):
    status, headers, text = client.ask(client.base + "/map/points")
    assert status == 200 and headers["Content-Type"].startswith("application/json")
    data = json.loads(text)
    assert len(data["x"]) == len(data["id"]) == len(data["text"]) == len(found.points)
    assert (
        "\u202e" not in text
        and CANARY[:60] in data["text"][data["text"].index(next(one for one in data["text"] if "<script>" in one))]
    )
    page = client.get("/map")
    assert "<script>document" not in page and "\u202e" not in page
    assert set(data["colours"]) == {"language", "outcome", "source", "cluster"}
    assert data["colours"]["outcome"]["names"] == ["kept", "dropped by similarity"]


def test_other_pages_do_not_wait_for_a_map_and_it_is_made_once(store):
    reader = Reader(store)
    begun, go_on, made = threading.Event(), threading.Event(), []

    def slow() -> str:
        made.append(1)
        begun.set()
        assert go_on.wait(20)
        return "map"

    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(reader.remembered, ("map", "talk"), slow) for _ in range(2)]
        assert begun.wait(20)
        assert reader.version("talk").count(Filter()) == 6 * 2 * TIMES + 1  # a query, and something else remembered
        go_on.set()
        assert [one.result() for one in waiting] == ["map", "map"]
    assert made == [1]
    reader.close()
