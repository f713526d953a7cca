-- Translated reasoning keeps the numbers.
SELECT made.messages FROM translated made JOIN english USING (group_id)
WHERE list_sort(regexp_extract_all(made.messages[2].content, '\d+')) != list_sort(regexp_extract_all(english.messages[2].content, '\d+')) OR made.language != 'pt';

-- The example is another question than the row's own, and both stand in the prompt.
SELECT made.messages FROM "with-examples" made JOIN english USING (group_id)
WHERE attribute(made.attributes, 'compose.example') = english.messages[1].content OR NOT contains(made.messages[1].content, attribute(made.attributes, 'compose.example'))
   OR NOT contains(made.messages[1].content, english.messages[1].content) OR made.messages[2].content != english.messages[2].content;

-- Every example is code-switched, in its question or its answer.
SELECT made.messages FROM "with-examples" made JOIN english ON contains(made.messages[1].content, 'Question: ' || english.messages[1].content || chr(10) || 'Answer: ' || english.messages[2].content);

-- A question of another language is put into English and answered there.
SELECT made.messages FROM "by-way-of-english" made JOIN english USING (group_id)
WHERE made.messages[2].content != english.messages[1].content || chr(10) || chr(10) || english.messages[2].content OR contains(made.messages[1].content, english.messages[1].content);

-- Each item is asked by way of English once, and both languages are drawn.
SELECT twice, tags FROM (SELECT count(*) - count(DISTINCT group_id) AS twice, list_sort(list(DISTINCT attribute(attributes, 'join.question'))) AS tags
                         FROM "by-way-of-english")
WHERE twice != 0 OR tags != ['hi', 'sw'];
