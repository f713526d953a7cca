"""What other deduplication tools find in the same rows, each in an environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from duplicates_plants import Plant
from workbench import World

PEERS = {
    "semhash": (
        """
import sys, json
from semhash import SemHash
import numpy as np
rows = json.load(open(sys.argv[1]))
class Encoder:
    # Vectors of our own encoder, made before: semhash's default model needs the network.
    def __init__(self): self.known = {r["text"]: i for i, r in enumerate(rows)}; self.v = np.load(sys.argv[2])
    def encode(self, texts, **k): return np.stack([self.v[self.known[t]] for t in texts])
first, told = {}, []
for i, r in enumerate(rows): first.setdefault(r["text"], i)
for least in (0.9, 0.7, 0.6):
    result = SemHash.from_records([r["text"] for r in rows], model=Encoder()).self_deduplicate(threshold=least)
    stays = list(range(len(rows)))
    for i, r in enumerate(rows):
        if first[r["text"]] != i: stays[i] = first[r["text"]]
    for record in result.filtered:
        if record.duplicates:
            stays[first[record.record]] = first[record.duplicates[0][0]]
    told.append([f"semhash {least}, our encoder", stays])
json.dump(told, open(sys.argv[3], "w"))
"""
    ),
    "datasketch": (
        """
import sys, json, re
from datasketch import MinHash, MinHashLSH

rows = json.load(open(sys.argv[1]))
told = []
for name, cut in (
    ("datasketch 0.8, words", lambda t: set(t.lower().split())),
    ("datasketch 0.8, 5 letters", lambda t: {t[i : i + 5] for i in range(max(1, len(t) - 4))}),
):
    lsh, stays = MinHashLSH(threshold=0.8, num_perm=128), []
    for i, r in enumerate(rows):
        m = MinHash(num_perm=128)
        m.update_batch([s.encode() for s in cut(r["text"])])
        hits = [int(h) for h in lsh.query(m)]
        stays.append(min(hits) if hits else i)
        if not hits:
            lsh.insert(str(i), m)
    told.append([name, stays])
json.dump(told, open(sys.argv[3], "w"))
"""
    ),
    "text_dedup": (
        """
import sys, json, re
import numpy as np
from text_dedup.utils.tokenization import ngrams

rows = json.load(open(sys.argv[1]))
# Its own tokens and filter (words between non-word characters, n-grams of 5, texts under 5 tokens left out), exact.
WORD = re.compile(r"\\W", re.UNICODE)
told, sets, stays = [], {}, []
for i, r in enumerate(rows):
    tokens = WORD.split(r["text"].lower())
    grams = {" ".join(t) for t in ngrams(tokens, 5, 5)}
    sets[i] = grams
by = {}
for i, grams in sets.items():
    hit = None
    for other in {o for g in grams for o in by.get(g, ())}:
        if len(grams & sets[other]) >= 0.7 * len(grams | sets[other]):
            hit = other if hit is None else min(hit, other)
    stays.append(i if hit is None else hit)
    if hit is None:
        for g in grams:
            by.setdefault(g, []).append(i)
json.dump([["text-dedup's tokens, 0.7", stays]], open(sys.argv[3], "w"))
"""
    ),
}


def peers(
    rows: Sequence[Plant], pythons: Sequence[str], only: Sequence[str] = tuple(PEERS)
) -> list[tuple[str, list[int], float]]:
    """What other tools find, each in its own environment; those that an environment has not are passed over."""
    told = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rows.json").write_text(json.dumps([{"text": one.text, "language": one.language} for one in rows]))
        for python in pythons:
            for module in only:
                script = PEERS[module]
                if subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode:
                    continue
                if module == "semhash" and not (folder / "vectors.npy").exists():
                    import numpy as np

                    world = World(folder, 2)
                    np.save(folder / "vectors.npy", world.model("use-multilingual").encode([one.text for one in rows]))
                (folder / "peer.py").write_text(script)
                started = time.perf_counter()
                run = subprocess.run(
                    [python, folder / "peer.py", folder / "rows.json", folder / "vectors.npy", folder / "told.json"],
                    capture_output=True,
                    text=True,
                )
                if run.returncode:
                    print(f"<!-- {module}: {run.stderr.strip().splitlines()[-1:]} -->", file=sys.stderr)
                    continue
                seconds = time.perf_counter() - started
                told += [(label, stays, seconds) for label, stays in json.loads((folder / "told.json").read_text())]
    return told
