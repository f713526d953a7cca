-- Each row is there in both languages with the same label.
SELECT group_id FROM "translate-train" GROUP BY group_id
HAVING list_sort(list(language)) != ['en', 'pt'] OR count(DISTINCT messages[-1].content) != 1;

-- The answer is the label.
SELECT messages FROM "translate-train" WHERE messages[-1].content NOT IN ('yes', 'no', 'maybe');

-- The template is in the language of the row: it was not translated.
SELECT messages FROM "translate-train"
WHERE NOT contains(messages[1].content, CASE language WHEN 'pt' THEN 'A primeira frase implica a segunda?' ELSE 'Does the first sentence imply the second?' END);

-- Both fields of a translated row are translations of its original's.
SELECT one.messages, two.messages FROM fields one JOIN fields two ON one.lineage.parents[1] = two.id
WHERE one.language != 'pt' OR two.language != 'en' OR one.messages[1].content = two.messages[1].content OR one.messages[2].content = two.messages[2].content;

-- Two translations through the other language lead back.
SELECT messages FROM "round-trip" WHERE language != 'en' OR len(lineage.makers) < 2;
