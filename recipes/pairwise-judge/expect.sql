-- The judges together prefer the chosen answer.
SELECT scores FROM "pairwise-judge" WHERE coalesce(score(scores, 'judge'), 0) <= 0;

-- Both answers are to the prompt.
SELECT p.chosen, p.rejected FROM "pairwise-judge" p
WHERE NOT EXISTS (SELECT 1 FROM candidates c WHERE c.prompt[1].content = p.prompt[1].content AND c.chosen[1].content = p.chosen[1].content
                  AND c.rejected[1].content = p.rejected[1].content);

-- Each pair is won, or is a tie and kept apart.
SELECT n FROM (SELECT (SELECT count(*) FROM "pairwise-judge")
                    + (SELECT count(DISTINCT prompt[1].content) FROM "pairwise-judge".rejected WHERE reason = 'tie') AS n) WHERE n != 6;

-- Agreement with people is known for both judges in every language.
SELECT n FROM (SELECT count(*) AS n FROM curate.audits WHERE dataset = 'pairwise-judge' AND figure = 'kappa' AND value BETWEEN -1 AND 1 AND rows >= 2) WHERE n != 6;

-- The judge that follows the order in Swahili is found out there, and the other one is not.
SELECT model, language, value FROM curate.audits WHERE dataset = 'pairwise-judge' AND figure = 'consistency'
  AND value != CASE WHEN model LIKE 'palm%' AND language = 'sw' THEN 0.5 ELSE 1 END;

-- Self-preference is reported for the judge that has an answer of its own family to judge.
SELECT n FROM (SELECT count(*) AS n FROM curate.audits WHERE figure = 'self_preference' AND model LIKE 'palm%') WHERE n != 3;
