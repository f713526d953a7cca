-- The task shows the English answer of the same item, the question, and an answer that was graded.
SELECT t.messages FROM "reference-judge" t LEFT JOIN "references" r ON r.group_id = t.group_id
WHERE NOT coalesce(starts_with(t.messages[1].content, E'Reference answer:\n' || r.messages[2].content || E'\n\n') AND r.language = 'en', false)
   OR NOT EXISTS (SELECT 1 FROM graded g WHERE g.group_id = t.group_id AND g.language = t.language
                  AND contains(t.messages[1].content, g.messages[1].content) AND contains(t.messages[1].content, g.messages[2].content));

-- Its answer is the reason and the grade that the judge gave, without the judge's name.
SELECT t.messages FROM "reference-judge" t
WHERE NOT EXISTS (SELECT 1 FROM graded g WHERE g.group_id = t.group_id AND g.language = t.language
                  AND t.messages[2].content = replace(attribute(g.attributes, 'judge.reasons'), 'judge: ', '') || ' (' || score(g.scores, 'judge')::INT || ')');

-- Reasons are in the language of the answer.
SELECT messages FROM "reference-judge" WHERE regexp_matches(messages[2].content, '\p{Devanagari}') != (language = 'hi');

-- Answers with the right number have a high grade, others a low one.
SELECT g.messages, g.scores FROM graded g JOIN "references" r USING (group_id)
WHERE contains(g.messages[2].content, regexp_extract(r.messages[2].content, '[0-9]+')) != coalesce(score(g.scores, 'judge') > 3, false);
