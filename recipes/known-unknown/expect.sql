-- Four classes of unknown questions are made of each known one.
SELECT parents FROM (SELECT lineage.parents[1] AS parents, list_sort(list(attribute(attributes, 'rewrite.class'))) AS classes FROM unknown GROUP BY 1)
WHERE classes != ['ambiguous', 'futuristic', 'incomplete', 'incorrect'];

-- The model's answers to a question that is kept disagree.
SELECT messages, scores FROM refused WHERE coalesce(score(scores, 'join.agreement'), 1) > 0.4;

-- Questions to which it always said the same are left out, and no others.
SELECT n FROM (SELECT (SELECT count(*) FROM unknown) - (SELECT count(DISTINCT messages[1].content) FROM disagreed.rejected) - (SELECT count(*) FROM refused) AS n)
WHERE n != 0;

-- The answer is the one that says why, not one of the model's own tries.
SELECT refused.messages FROM refused JOIN unknown ON refused.lineage.parents[1] = unknown.id
WHERE refused.messages[2].content != unknown.messages[2].content OR attribute(refused.attributes, 'join.class') != attribute(unknown.attributes, 'rewrite.class');

-- Known questions keep their answers.
SELECT a.messages FROM "known-unknown" a JOIN known USING (id) WHERE a.messages[2].content != known.messages[2].content OR NOT contains(a.messages[2].content, 'The answer is');
