-- Every item is there once.
SELECT group_id FROM parallel LEFT JOIN pinch USING (group_id, id) GROUP BY group_id HAVING count(pinch.id) != 1;

-- Exactly eight rows are not English, two in each language.
SELECT language, n FROM (SELECT language, count(*) AS n FROM pinch WHERE language != 'en' GROUP BY ALL) WHERE n != 2;

-- All four languages are there.
SELECT n FROM (SELECT count(DISTINCT language) AS n FROM pinch) WHERE n != 5;

-- A row in another language is its item's own row in that language, unchanged.
SELECT pinch.messages FROM pinch LEFT JOIN parallel ON parallel.group_id = pinch.group_id AND parallel.language = pinch.language AND parallel.messages = pinch.messages
WHERE parallel.id IS NULL;
