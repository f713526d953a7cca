-- Good answers have a grade of at least 4, bad ones of at most 2.
SELECT u.completion, u.label FROM "unpaired-preference" u LEFT JOIN judged j ON j.group_id = u.group_id AND j.language = u.language AND j.messages[-1].content = u.completion[1].content
WHERE NOT coalesce(CASE WHEN u.label THEN score(j.scores, 'judge') >= 4 ELSE score(j.scores, 'judge') <= 2 END, false);

-- Answers between the two are left out, and they only.
SELECT n FROM (SELECT (SELECT count(*) FROM judged WHERE score(scores, 'judge') NOT BETWEEN 2.01 AND 3.99) - (SELECT count(*) FROM "unpaired-preference") AS n) WHERE n != 0;

-- What is chosen in a pair is labelled good.
SELECT p.chosen FROM paired p LEFT JOIN "unpaired-preference" u ON u.group_id = p.group_id AND u.language = p.language AND u.completion[1].content = p.chosen[1].content
WHERE u.label IS DISTINCT FROM true;

-- There are good and bad ones.
SELECT n FROM (SELECT count(*) FILTER (label) AS good, count(*) FILTER (NOT label) AS bad, 1 AS n FROM "unpaired-preference") WHERE good = 0 OR bad = 0;
