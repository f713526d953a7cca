-- Corrections end at the solution, first answers do not.
SELECT messages FROM criticised
WHERE NOT regexp_matches(messages[-1].content, '\b' || attribute(attributes, 'solution') || '[.]$') OR regexp_matches(messages[2].content, '\b' || attribute(attributes, 'solution') || '[.]$');

-- The critique stands between a wrong answer of the student and its correction.
SELECT c.messages FROM criticised c LEFT JOIN wrong w ON w.group_id = c.group_id AND w.language = c.language
WHERE list_transform(c.messages, lambda m: m.role) != ['user', 'assistant', 'user', 'assistant'] OR c.messages[2].content IS DISTINCT FROM w.messages[2].content;

-- An injected error differs from the right answer in one number or operator, and the right answer follows it.
SELECT n.messages FROM noticed n LEFT JOIN "right" r ON r.group_id = n.group_id AND r.language = n.language
WHERE NOT coalesce(ends_with(n.messages[2].content, split_part(r.messages[2].content, E'\n', -1)) AND length(n.messages[2].content) > length(r.messages[2].content), false);

-- Of a contrast, the correction is chosen over the student's answer.
SELECT c.chosen, c.rejected FROM contrasted c LEFT JOIN wrong w ON w.group_id = c.group_id AND w.language = c.language
WHERE c.rejected[1].content IS DISTINCT FROM w.messages[2].content OR NOT regexp_matches(c.chosen[1].content, '\b' || attribute(c.attributes, 'solution') || '[.]$');

-- A correction that is not right makes no row.
SELECT n FROM (SELECT count(*) AS n FROM criticised) WHERE n != 3;
