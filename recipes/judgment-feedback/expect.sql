-- A row has the question and the answer that were judged.
SELECT j.messages FROM "judgment-feedback" j LEFT JOIN judged ON judged.id = j.lineage.parents[1]
WHERE NOT coalesce(contains(j.messages[1].content, judged.messages[1].content) AND contains(j.messages[1].content, judged.messages[2].content), false);

-- Its answer is what the judge wrote, without the judge's name, and the grade.
SELECT j.messages FROM "judgment-feedback" j LEFT JOIN judged ON judged.id = j.lineage.parents[1]
WHERE j.messages[2].content
      IS DISTINCT FROM replace(attribute(judged.attributes, 'judge.reasons'), 'judge: ', '') || ' (' || score(judged.scores, 'judge')::INT || ' of 5)';

-- There are judgments of good and of bad answers in each language.
SELECT language FROM judged GROUP BY language HAVING min(score(scores, 'judge')) > 2 OR max(score(scores, 'judge')) < 4;

-- Every answer was judged.
SELECT judged.messages FROM judged WHERE id NOT IN (SELECT lineage.parents[1] FROM "judgment-feedback");

-- Aligned rows give the answer that their judgment is of.
SELECT a.messages FROM aligned a LEFT JOIN judged ON judged.messages[2].content = a.messages[2].content
WHERE NOT coalesce(starts_with(a.messages[1].content, judged.messages[1].content || E'\n\n')
  AND ends_with(a.messages[1].content, E'\n' || replace(attribute(judged.attributes, 'judge.reasons'), 'judge: ', '') || ' (' || score(judged.scores, 'judge')::INT || ' of 5)'),
  false);

-- Misaligned rows give a bad answer under the judgment of a good one.
SELECT m.messages FROM misaligned m LEFT JOIN judged ON judged.messages[2].content = m.messages[2].content AND starts_with(m.messages[1].content, judged.messages[1].content)
WHERE coalesce(score(judged.scores, 'judge') > 2, true) OR NOT ends_with(m.messages[1].content, '(5 of 5)');
