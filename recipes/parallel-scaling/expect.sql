-- Each dataset has the same six items once in each of its languages.
SELECT n, group_id FROM (
  SELECT 1 AS n, * FROM parallel_1 UNION ALL SELECT 2, * FROM parallel_2 UNION ALL SELECT 3, * FROM parallel_3 UNION ALL SELECT 4, * FROM parallel_4)
GROUP BY n, group_id HAVING count(DISTINCT language) != n OR count(*) != n;

-- There are six items in each.
SELECT n FROM (SELECT 1 AS n, group_id FROM parallel_1 UNION ALL SELECT 2, group_id FROM parallel_2 UNION ALL SELECT 3, group_id FROM parallel_3
               UNION ALL SELECT 4, group_id FROM parallel_4) GROUP BY n HAVING count(DISTINCT group_id) != 6;

-- A dataset holds every smaller one.
(SELECT id FROM parallel_1 EXCEPT SELECT id FROM parallel_2) UNION ALL (SELECT id FROM parallel_2 EXCEPT SELECT id FROM parallel_3)
UNION ALL (SELECT id FROM parallel_3 EXCEPT SELECT id FROM parallel_4);

-- The answer to verify is the same in all languages.
SELECT group_id FROM parallel_4 GROUP BY group_id HAVING count(DISTINCT attribute(attributes, 'solution')) != 1;
