-- A pair of the dictionary is in its table.
SELECT want FROM (SELECT 'sky' AS want, 'anga' AS have UNION ALL SELECT 'blue', 'buluu') LEFT JOIN "from-dictionary" ON source = want AND target = have
WHERE source IS NULL;

-- An aligned pair stands in at least two sentence pairs, and its score says how exclusively.
SELECT source, target, scores FROM aligned
WHERE coalesce(score(scores, 'lexicon.count'), 0) < 2 OR score(scores, 'lexicon') NOT BETWEEN 0.3 AND 1;

-- The Dice coefficient is the harmonic mean of both directions.
SELECT source, target, scores FROM aligned
WHERE abs(score(scores, 'lexicon') - 2 / (1 / score(scores, 'lexicon.forward') + 1 / score(scores, 'lexicon.backward'))) > 0.001;

-- Some of the aligned pairs are right (others are not: thirty sentences are too few).
SELECT want FROM (VALUES ('please', 'tafadhali'), ('slowly', 'polepole'), ('my', 'yangu')) AS wanted(want, have)
LEFT JOIN aligned ON source = want AND target = have WHERE source IS NULL;
