-- At least nine in ten mined pairs are the same item, though the miner does not know items.
SELECT wrong FROM (
  SELECT avg(CASE WHEN attribute(en.attributes, 'item') = attribute(ru.attributes, 'item') THEN 0 ELSE 1 END) AS wrong
  FROM "bitext-mining" pair JOIN monolingual en ON en.text = pair.source JOIN monolingual ru ON ru.text = pair.target)
WHERE wrong > 0.1 OR wrong IS NULL;

-- Most of the items are found.
SELECT n FROM (SELECT count(*) AS n FROM "bitext-mining") WHERE n < 18;

-- Each side is a text of its language's source, taken once.
SELECT source, target FROM "bitext-mining" pair
WHERE source NOT IN (SELECT text FROM monolingual WHERE language = 'en') OR target NOT IN (SELECT text FROM monolingual WHERE language = 'ru')
   OR (SELECT count(*) FROM "bitext-mining" other WHERE other.source = pair.source OR other.target = pair.target) != 1;

-- The margin is kept, and is at least the threshold.
SELECT source, scores FROM "bitext-mining" WHERE coalesce(score(scores, 'mine'), 0) < 1.1;
