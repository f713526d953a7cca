-- Each row is there in both languages, in one item, with the original as parent of its translation.
SELECT group_id FROM "self-translate-train" GROUP BY group_id HAVING list_sort(list(language)) != ['en', 'sw'];

-- The translation was made from the English row of its item by the model under training.
SELECT made.messages FROM "self-translate-train" made LEFT JOIN "self-translate-train" original ON made.lineage.parents[1] = original.id
WHERE made.language = 'sw' AND (original.group_id IS DISTINCT FROM made.group_id OR original.language != 'en'
      OR NOT list_contains(list_transform(made.lineage.makers, lambda maker: maker.model), 'demo/student@unknown'));

-- Prompt and response are translated, and no number is lost.
SELECT made.messages FROM "self-translate-train" made JOIN "self-translate-train" original USING (group_id)
WHERE made.language = 'sw' AND original.language = 'en'
  AND (made.messages[1].content = original.messages[1].content OR made.messages[2].content = original.messages[2].content
       OR regexp_extract_all(made.messages[2].content, '\d+') != regexp_extract_all(original.messages[2].content, '\d+'));
