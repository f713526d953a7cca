-- The chosen answer is the most voted one, the rejected one the least voted.
SELECT p.chosen, p.rejected FROM "self-consistency" p
WHERE (SELECT max(score(v.scores, 'self_consistency')) FROM voted v WHERE v.group_id = p.group_id AND v.language = p.language AND v.messages[-1].content = p.chosen[1].content)
        IS DISTINCT FROM (SELECT max(score(v.scores, 'self_consistency')) FROM voted v WHERE v.group_id = p.group_id AND v.language = p.language)
   OR (SELECT min(score(v.scores, 'self_consistency')) FROM voted v WHERE v.group_id = p.group_id AND v.language = p.language AND v.messages[-1].content = p.rejected[1].content)
        IS DISTINCT FROM (SELECT min(score(v.scores, 'self_consistency')) FROM voted v WHERE v.group_id = p.group_id AND v.language = p.language);

-- The margin is the difference of their shares of the votes.
SELECT p.scores FROM "self-consistency" p
JOIN voted c ON c.group_id = p.group_id AND c.language = p.language AND c.messages[-1].content = p.chosen[1].content
JOIN voted r ON r.group_id = p.group_id AND r.language = p.language AND r.messages[-1].content = p.rejected[1].content
WHERE abs(score(p.scores, 'pair.margin') - (score(c.scores, 'self_consistency') - score(r.scores, 'self_consistency'))) > 0.001;

-- Questions without a clear winner are in no row.
SELECT scores FROM voted WHERE coalesce(score(scores, 'self_consistency.agreement'), 0) < 0.5;

-- Most chosen answers are right, though the vote read no solution.
SELECT n FROM (SELECT avg(contains(chosen[1].content, attribute(attributes, 'solution'))::INT) AS n FROM "self-consistency") WHERE coalesce(n, 0) < 0.5;
