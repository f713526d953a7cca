"""What the quick start builds stays what it is while the code is moved, renamed and made faster: the versions are
written down here.

A change that is meant to give other rows (another threshold, word list, model) changes them, and its commit says why.
"""

from __future__ import annotations

from quick_start import build, shared_folder

import curate

# The reasons of unreadable rows are part of a version: a reworded message changes `everyday`, which has six of them.
VERSIONS = {
    "everyday": "b789ed87ab33fda4f1e8",
    "everyday-parallel": "cd5c29a7d9a9d9aebfe0",
    "everyday-switched": "8767d3d883ff200a2547",
    "everyday-translated": "c34414ab94bc467410ff",
    "words": "56e627ede66971faa885",
}


def test_the_quick_start_has_the_versions_that_it_had(tmp_path_factory, worker_id):
    built = build(shared_folder(tmp_path_factory.getbasetemp(), worker_id))
    latest = curate.query(
        "SELECT dataset, version FROM curate.datasets WHERE ref = 'latest'", store=built / ".curate"
    ).rows()
    assert {name: version for name, version in latest if name in VERSIONS} == VERSIONS
