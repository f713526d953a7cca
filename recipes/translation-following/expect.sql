-- Every sentence pair gives a task in each direction.
SELECT group_id FROM "translation-tasks" GROUP BY group_id
HAVING list_sort(list(attribute(attributes, 'compose.task'))) != ['en-pt', 'pt-en'];

-- The task of the other direction asks for what this one gives.
SELECT one.messages, two.messages FROM "translation-tasks" one JOIN "translation-tasks" two USING (group_id)
WHERE one.id != two.id AND NOT ends_with(two.messages[1].content, one.messages[-1].content);

-- The prompt names the language of the answer.
SELECT messages FROM "translation-tasks"
WHERE NOT contains(messages[1].content, ' to ' || CASE language WHEN 'pt' THEN 'Portuguese' ELSE 'English' END || '.');

-- Half of the rows are translation tasks.
SELECT n FROM (SELECT count(*) FILTER (starts_with(messages[1].content, 'Translate the following')) AS n FROM "translation-following")
WHERE n != 10;

-- The mixture has its size.
SELECT n FROM (SELECT count(*) AS n FROM "translation-following") WHERE n != 20;

-- Translated instructions are in the other language.
SELECT messages FROM "translated-instructions" WHERE language != 'pt';
