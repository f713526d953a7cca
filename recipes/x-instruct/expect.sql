-- Every answer is in the other language.
SELECT messages FROM "x-instruct-24" WHERE language != 'sw';

-- Half of each mixture is translation, at each size.
SELECT size FROM (SELECT 12 AS size, messages FROM "x-instruct-12" UNION ALL SELECT 24, messages FROM "x-instruct-24")
GROUP BY size HAVING count(*) != size OR count(*) FILTER (starts_with(messages[1].content, 'Translate into Swahili.')) * 2 != size;

-- The larger mixture holds the smaller one.
SELECT id FROM "x-instruct-12" EXCEPT SELECT id FROM "x-instruct-24";

-- A general row asks in English for an answer in Swahili.
SELECT messages FROM general WHERE NOT ends_with(messages[1].content, 'Answer in Swahili.');

