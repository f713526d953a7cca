-- The prompt names the language of the answer.
SELECT messages FROM "cross-lingual"
WHERE NOT ends_with(messages[1].content, 'Answer in ' || CASE language WHEN 'en' THEN 'English' WHEN 'sw' THEN 'Swahili' WHEN 'ru' THEN 'Russian' END || '.');

-- The prompt is that of the item in the first language, the answer that in the second.
SELECT crossed.messages FROM "cross-lingual" crossed
WHERE NOT EXISTS (SELECT 1 FROM monolingual one WHERE one.group_id = crossed.group_id
    AND one.language = split_part(attribute(crossed.attributes, 'join.pair'), '/', 1)
    AND starts_with(crossed.messages[1].content, one.messages[1].content))
   OR NOT EXISTS (SELECT 1 FROM monolingual two WHERE two.group_id = crossed.group_id AND two.language = crossed.language
    AND crossed.messages[2].content = two.messages[2].content);

-- Every item is asked for in one pair of languages.
SELECT group_id FROM "cross-lingual" GROUP BY group_id HAVING count(*) != 1;

-- All four pairs of languages are there.
SELECT pairs FROM (SELECT list_sort(list(DISTINCT attribute(attributes, 'join.pair'))) AS pairs FROM "cross-lingual")
WHERE pairs != ['en/ru', 'en/sw', 'ru/en', 'sw/en'];

-- The contrastive pairs have both languages.
SELECT source, target FROM contrastive WHERE source_language != 'en' OR language != 'pt' OR source = target;
