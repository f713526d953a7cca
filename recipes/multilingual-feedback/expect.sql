-- No translated answer is chosen.
SELECT p.chosen FROM "multilingual-feedback" p JOIN translated t ON t.group_id = p.group_id AND t.language = p.language AND t.messages[-1].content = p.chosen[1].content;

-- Both answers of a pair are answers to its prompt in its language.
SELECT p.chosen, p.rejected FROM "multilingual-feedback" p
WHERE (SELECT count(DISTINCT a.messages[-1].content) FROM (SELECT * FROM native UNION ALL BY NAME SELECT * FROM translated) a
       WHERE a.language = p.language AND a.messages[1].content = p.prompt[1].content AND a.messages[-1].content IN (p.chosen[1].content, p.rejected[1].content)) != 2;

-- The judge preferred the chosen answer in both orders.
SELECT scores FROM "multilingual-feedback" WHERE coalesce(score(scores, 'judge'), 0) != 1;

-- There are pairs in every language.
SELECT n FROM (SELECT count(DISTINCT language) AS n FROM "multilingual-feedback") WHERE n != 2;
