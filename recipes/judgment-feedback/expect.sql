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
