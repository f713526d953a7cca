-- Each mixture has twelve rows of twelve items, equally many in each language.
SELECT n, language FROM (
  SELECT 1 AS n, * FROM polyglot_1 UNION ALL SELECT 2, * FROM polyglot_2 UNION ALL SELECT 3, * FROM polyglot_3 UNION ALL SELECT 4, * FROM polyglot_4)
GROUP BY n, language HAVING count(*) * n != 12 OR count(DISTINCT group_id) * n != 12;

-- The nth mixture has n languages.
SELECT n FROM (SELECT 1 AS n, language FROM polyglot_1 UNION ALL SELECT 2, language FROM polyglot_2 UNION ALL SELECT 3, language FROM polyglot_3
               UNION ALL SELECT 4, language FROM polyglot_4) GROUP BY n HAVING count(DISTINCT language) != n;

-- The items are the same in all.
(SELECT group_id FROM polyglot_1 EXCEPT SELECT group_id FROM polyglot_2) UNION ALL (SELECT group_id FROM polyglot_2 EXCEPT SELECT group_id FROM polyglot_3)
UNION ALL (SELECT group_id FROM polyglot_3 EXCEPT SELECT group_id FROM polyglot_4);

-- From one mixture to the next an item stays in its language or comes into the new one.
SELECT two.group_id FROM polyglot_2 two JOIN polyglot_3 three USING (group_id) WHERE three.language NOT IN (two.language, 'hi')
UNION ALL SELECT three.group_id FROM polyglot_3 three JOIN polyglot_4 four USING (group_id) WHERE four.language NOT IN (three.language, 'ru');
