-- The chosen answer has the highest score of its prompt, the rejected one the lowest.
SELECT p.chosen, p.rejected FROM "reward-transfer" p
WHERE p.chosen[1].content IS DISTINCT FROM (SELECT arg_max(s.messages[-1].content, score(s.scores, 'judge')) FROM scored s WHERE s.group_id = p.group_id)
   OR p.rejected[1].content IS DISTINCT FROM (SELECT arg_min(s.messages[-1].content, score(s.scores, 'judge')) FROM scored s WHERE s.group_id = p.group_id);

-- The difference is at least the margin.
SELECT scores FROM "reward-transfer" WHERE coalesce(score(scores, 'pair.margin'), 0) < 0.05;

-- Every answer has a score, and is in the other language.
SELECT messages, scores FROM scored WHERE score(scores, 'judge') IS NULL OR score(scores, 'judge') NOT BETWEEN -1 AND 1 OR language != 'de';

-- What says nothing to the question is never chosen.
SELECT chosen FROM "reward-transfer" WHERE contains(chosen[1].content, 'weiß ich nicht') OR NOT regexp_matches(chosen[1].content, '[.]$');
