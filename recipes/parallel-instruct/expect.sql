-- Every item has each of the five languages, once.
SELECT group_id FROM "parallel-instruct" GROUP BY group_id HAVING list_sort(list(language)) != ['ar', 'en', 'hi', 'ru', 'sw'];

-- A batch of five rows has one item.
SELECT batch FROM (SELECT group_id, (row_number() OVER () - 1) // 5 AS batch FROM "parallel-instruct")
GROUP BY batch HAVING count(DISTINCT group_id) != 1;

-- More than half of the 28 items are there in all languages.
SELECT n FROM (SELECT count(DISTINCT group_id) AS n FROM "parallel-instruct") WHERE n <= 14;
