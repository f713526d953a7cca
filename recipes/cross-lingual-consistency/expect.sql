-- Each answer is scored by the share of all languages' votes for its number; each language has one vote.
SELECT group_id FROM voted GROUP BY group_id
HAVING abs((SELECT sum(s) FROM (SELECT DISTINCT w.group_id, attribute(w.attributes, 'self_consistency.answer') AS a, round(score(w.scores, 'self_consistency'), 4) AS s
                                FROM voted w) x WHERE x.group_id = voted.group_id) - 1) > 0.01;

-- All answers to an item that are kept end at the same number, whatever their language.
SELECT group_id FROM consensus GROUP BY group_id HAVING count(DISTINCT attribute(attributes, 'self_consistency.answer')) != 1;

-- The chosen answer has more votes than the rejected one, and is in the language of its question.
SELECT p.chosen, p.rejected FROM "cross-lingual-consistency" p
LEFT JOIN voted c ON c.group_id = p.group_id AND c.language = p.language AND c.messages[-1].content = p.chosen[1].content AND c.messages[1].content = p.prompt[1].content
LEFT JOIN voted r ON r.group_id = p.group_id AND r.language = p.language AND r.messages[-1].content = p.rejected[1].content
WHERE NOT coalesce(score(c.scores, 'self_consistency') > score(r.scores, 'self_consistency'), false);
