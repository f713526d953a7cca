-- Each item has one pair of languages, of those asked for.
SELECT group_id FROM crossed GROUP BY group_id
HAVING count(*) != 1 OR NOT list_contains(['en/ar', 'ar/en', 'en/hi', 'hi/sw', 'sw/en'], first(attribute(attributes, 'join.pair')));

-- Prompt and answer are in the two languages of the pair.
SELECT messages FROM crossed WHERE attribute(attributes, 'join.pair') IS DISTINCT FROM prompt_language || '/' || language;

-- The letters are those of the language: prompt.
SELECT messages FROM crossed
WHERE regexp_matches(split_part(messages[1].content, E'\n\nAnswer in', 1), CASE prompt_language WHEN 'ar' THEN '\p{Arabic}' WHEN 'hi' THEN '\p{Devanagari}' ELSE '^[^\p{Arabic}\p{Devanagari}]*$' END) IS FALSE;

-- The letters are those of the language: answer.
SELECT messages FROM crossed
WHERE regexp_matches(messages[2].content, CASE language WHEN 'ar' THEN '\p{Arabic}' WHEN 'hi' THEN '\p{Devanagari}' ELSE '^[^\p{Arabic}\p{Devanagari}]*$' END) IS FALSE;

-- The prompt asks for the language of its answer.
SELECT messages FROM crossed
WHERE NOT ends_with(messages[1].content, 'Answer in ' || CASE language WHEN 'ar' THEN 'Arabic' WHEN 'hi' THEN 'Hindi' WHEN 'sw' THEN 'Swahili' ELSE 'English' END || '.');

-- Three quarters of the rows cross languages, a quarter translates.
SELECT n FROM (SELECT list_sort(list(starts_with(messages[1].content, 'Translate into'))) AS n FROM "cross-in")
WHERE len(n) != 24 OR len(list_filter(n, lambda x: x)) != 6;
