"""Two shards of the same content have one place for their scores, and two workers may write there at once."""

from __future__ import annotations

import polars as pl

from curate.engine.store.columns import kept_scores
from curate.engine.tasks import task


def test_a_worker_leaves_alone_what_another_is_about_to_keep(tmp_path, monkeypatch):
    scores = pl.DataFrame({"score": [0.5, None], "scored": [True, True], "failed": [False, False]})
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    write = task.write_parquet

    def keep(name: str) -> None:
        task._keep_scores(tmp_path / "work", None, scores, [], tmp_path / name)

    def written(table, path) -> None:
        """The second worker begins and ends while the first one has written and not yet kept its scores."""
        write(table, path)
        monkeypatch.setattr(task, "write_parquet", write)
        keep("second")

    monkeypatch.setattr(task, "write_parquet", written)
    keep("first")
    (file,) = (tmp_path / "work").iterdir()
    assert kept_scores(tmp_path / "work") == file and pl.read_parquet(file).equals(scores)
