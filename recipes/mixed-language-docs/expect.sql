-- What a sentence was swapped for stands in the document of the same item in another language.
SELECT mixed.text, switch FROM (SELECT *, unnest(CAST(attribute(attributes, 'code_switch.switched') AS JSON[])) AS switch FROM "mixed-language-docs") mixed
WHERE NOT EXISTS (SELECT 1 FROM documents WHERE documents.group_id = mixed.group_id AND documents.language != 'en'
                  AND contains(documents.text, switch ->> '$[4]'))
   OR NOT contains(mixed.text, switch ->> '$[4]');

-- What was swapped out is no longer there.
SELECT mixed.text FROM "mixed-language-docs" mixed JOIN documents USING (group_id)
WHERE documents.language = 'en' AND mixed.text = documents.text;

-- Some documents still have English sentences, and some have more than one other language.
SELECT n FROM (SELECT count(*) FILTER (len(string_split(attribute(attributes, 'code_switch.languages'), '+')) > 2) AS n
               FROM "mixed-language-docs") WHERE n = 0;

-- Every row has a sentence in another language.
SELECT text FROM "mixed-language-docs" WHERE NOT attribute(attributes, 'code_switch.languages') LIKE 'en+%';
