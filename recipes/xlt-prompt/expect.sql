-- Each prompt has its question as it was.
SELECT x.prompt FROM plain LEFT JOIN "xlt-prompt" x ON x.lineage.parents[1] = plain.id
WHERE x.id IS NULL OR NOT contains(x.prompt[1].content, E'Request: ' || plain.prompt[1].content || E'\n');

-- It names the question's language, as expert and for the answer.
SELECT prompt FROM "xlt-prompt"
WHERE NOT contains(prompt[1].content, 'expert for ' || CASE language WHEN 'hi' THEN 'Hindi' WHEN 'sw' THEN 'Swahili' END || '.')
   OR NOT contains(prompt[1].content, 'answer in ' || CASE language WHEN 'hi' THEN 'Hindi' WHEN 'sw' THEN 'Swahili' END || ',');

-- The solution is still there to check answers by.
SELECT x.attributes FROM "xlt-prompt" x JOIN plain ON x.lineage.parents[1] = plain.id
WHERE attribute(x.attributes, 'solution') IS DISTINCT FROM attribute(plain.attributes, 'solution') OR NOT regexp_matches(attribute(x.attributes, 'solution'), '^[0-9]+$');
