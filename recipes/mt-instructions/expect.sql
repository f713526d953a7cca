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

-- An interlinear text has each sentence above its translation.
SELECT text FROM interlinear LEFT JOIN pairs ON pairs.group_id = interlinear.group_id AND interlinear.text = pairs.source || chr(10) || pairs.target WHERE pairs.id IS NULL;
