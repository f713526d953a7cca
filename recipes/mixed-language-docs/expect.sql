-- What a sentence was swapped for stands in the document of the same item in another language.
SELECT mixed.text, switch FROM (SELECT *, unnest(CAST(attribute(attributes, 'code_switch.switched') AS JSON[])) AS switch FROM "mixed-sentences") mixed
WHERE NOT EXISTS (SELECT 1 FROM documents WHERE documents.group_id = mixed.group_id AND documents.language != 'en'
                  AND contains(documents.text, switch ->> '$[4]'))
   OR NOT contains(mixed.text, switch ->> '$[4]');

-- What was swapped out is no longer there.
SELECT mixed.text FROM "mixed-sentences" mixed JOIN documents USING (group_id)
WHERE documents.language = 'en' AND mixed.text = documents.text;

-- Some documents still have English sentences, and some have more than one other language.
SELECT n FROM (SELECT count(*) FILTER (len(string_split(attribute(attributes, 'code_switch.languages'), '+')) > 2) AS n
               FROM "mixed-sentences") WHERE n = 0;

-- Every row has a sentence in another language.
SELECT text FROM "mixed-sentences" WHERE NOT attribute(attributes, 'code_switch.languages') LIKE 'en+%';

-- A swapped word is its translation in one of the dictionaries, and stands in the text.
SELECT text, switch FROM (SELECT *, unnest(CAST(attribute(attributes, 'code_switch.switched') AS JSON[])) AS switch FROM "mixed-words") mixed
WHERE NOT contains(text, switch ->> '$[4]')
   OR NOT EXISTS (SELECT 1 FROM words WHERE lower(words.source) = lower(switch ->> '$[3]') AND lower(words.target) = lower(switch ->> '$[4]'));

-- One text may have words of several languages, and all are drawn.
SELECT tags FROM (SELECT list_sort(list_distinct(flatten(list(string_split(attribute(attributes, 'code_switch.languages'), '+'))))) AS tags FROM "mixed-words")
WHERE tags != ['en', 'hi', 'sw', 'zh'];
