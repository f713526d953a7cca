-- An answer is the question of the same item in the other language, as the source has it.
SELECT one.messages, other.messages FROM (SELECT * FROM "stage-1_hi" UNION ALL BY NAME SELECT * FROM "stage-1_sw" UNION ALL BY NAME SELECT * FROM "stage-1_de") one
LEFT JOIN (SELECT * FROM "stage-1_hi" UNION ALL BY NAME SELECT * FROM "stage-1_sw" UNION ALL BY NAME SELECT * FROM "stage-1_de") other
  ON one.group_id = other.group_id AND one.language = other.prompt_language AND one.prompt_language = other.language
WHERE other.id IS NULL OR NOT ends_with(other.messages[1].content, E'\n\n' || one.messages[2].content);

-- Each question is translated once in each direction.
SELECT group_id FROM "stage-1_sw" GROUP BY group_id HAVING list_sort(list(prompt_language || '-' || language)) != ['en-sw', 'sw-en'];

-- Instructions of the second stage are in English only, and none is a translation task.
SELECT messages FROM "stage-2" WHERE language != 'en' OR messages[1].content LIKE 'Translate this question%';
