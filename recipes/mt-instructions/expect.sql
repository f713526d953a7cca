-- 32 rows, half in each direction.
SELECT language, n FROM (SELECT language, count(*) AS n FROM "mt-instructions" GROUP BY ALL) WHERE n != 16;

-- The instruction is in the language of the sentence.
SELECT messages FROM "mt-instructions"
WHERE NOT starts_with(messages[1].content, CASE language WHEN 'sw' THEN 'Translate this sentence into Swahili.' ELSE 'Tafsiri sentensi hii kwa Kiingereza.' END);

-- The answer is the other side of the pair.
SELECT messages FROM "mt-instructions" made
WHERE NOT EXISTS (SELECT 1 FROM pairs WHERE pairs.group_id = made.group_id AND made.messages[2].content = CASE made.language WHEN 'sw' THEN pairs.target ELSE pairs.source END
  AND ends_with(made.messages[1].content, CASE made.language WHEN 'sw' THEN pairs.source ELSE pairs.target END));

-- A noisy answer has words of the right one only.
SELECT noisy.messages, pairs.target FROM noisy JOIN pairs USING (group_id)
WHERE len(list_filter(regexp_extract_all(noisy.messages[2].content, '\w+'), lambda word: NOT list_contains(regexp_extract_all(pairs.target, '\w+'), word))) > 0;

-- Three in four of them differ from the right one.
SELECT n FROM (SELECT avg((noisy.messages[2].content != pairs.target)::INT) AS n FROM noisy JOIN pairs USING (group_id)) WHERE n < 0.75 OR n IS NULL;

-- Every document is one text, in which each of its sentences stands above its translation, in the order of the file.
SELECT document, n FROM (SELECT attribute(pairs.attributes, 'document') AS document, count(*) AS n,
    string_agg(pairs.source || chr(10) || pairs.target, chr(10) ORDER BY regexp_extract(pairs.lineage.source_id, '\d+$')::INT) AS lines
  FROM "document-pairs" pairs GROUP BY ALL) WHERE 1 != (SELECT count(*) FROM interlinear WHERE text = lines AND attribute(attributes, 'document') = document);

-- There is no other text, and none of one sentence only.
SELECT text FROM interlinear WHERE (SELECT count(DISTINCT attribute(attributes, 'document')) FROM "document-pairs") != (SELECT count(*) FROM interlinear)
   OR NOT EXISTS (SELECT 1 FROM "document-pairs" pairs WHERE contains(text, pairs.source) AND attribute(pairs.attributes, 'document') = attribute(interlinear.attributes, 'document'))
   OR len(string_split(text, chr(10))) < 6;
