-- Two examples, then the question.
SELECT messages FROM "examples-in-same-language" WHERE list_transform(messages, lambda m: m.role) != ['user', 'assistant', 'user', 'assistant', 'user', 'assistant'];

-- An example is a question of the pool with its own answer, in the same language.
SELECT x.messages FROM "examples-in-same-language" x
WHERE (SELECT count(*) FROM pool WHERE language = 'ru' AND (pool.messages[1].content, pool.messages[2].content) IN
        ((x.messages[1].content, x.messages[2].content), (x.messages[3].content, x.messages[4].content))) != 2;

-- Or in the other one.
SELECT x.messages FROM "examples-in-other-language" x
WHERE (SELECT count(*) FROM pool WHERE language = 'en' AND (pool.messages[1].content, pool.messages[2].content) IN
        ((x.messages[1].content, x.messages[2].content), (x.messages[3].content, x.messages[4].content))) != 2;

-- No row has its own item as an example, in whatever language.
SELECT x.messages FROM "examples-in-other-language" x JOIN pool USING (group_id) WHERE pool.messages[1].content IN (x.messages[1].content, x.messages[3].content);

-- The similarity of the nearest is kept.
SELECT scores FROM "examples-in-other-language" WHERE coalesce(score(scores, 'compose.similarity'), 2) NOT BETWEEN -1 AND 0.999;
