-- The hasty judge is refused in both languages, for position and for its agreement with people; the careful one is not.
SELECT model, language, refused FROM (SELECT model, language, list_sort(list(figure) FILTER (refused)) AS refused FROM curate.audits WHERE dataset = 'judge-audit' GROUP BY ALL)
WHERE coalesce(refused, []) != CASE WHEN starts_with(model, 'demo/hasty') THEN ['consistency', 'kappa', 'position_bias'] ELSE [] END;

-- Both judges were measured in both languages, against people's labels and by position.
SELECT n FROM (SELECT count(*) AS n FROM curate.audits WHERE dataset = 'judge-audit' AND figure IN ('kappa', 'position_bias', 'consistency') AND value IS NOT NULL) WHERE n != 12;

-- A judge that always names the first answer has a position bias of 1 and no agreement.
SELECT model, figure, value FROM curate.audits WHERE starts_with(model, 'demo/hasty') AND value != CASE figure WHEN 'position_bias' THEN 1 WHEN 'consistency' THEN 0 WHEN 'kappa' THEN 0 END;

-- Verdicts are those of the careful judge alone: whole, not halved by the other's ties.
SELECT prompt, scores FROM "judge-audit" WHERE score(scores, 'judge') IS DISTINCT FROM 1;

-- What it took for a tie is dropped as one.
SELECT n FROM (SELECT count(*) AS n FROM "judge-audit".rejected WHERE reason = 'tie' AND language = 'sw') WHERE n != 1;
