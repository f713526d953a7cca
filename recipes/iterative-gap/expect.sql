-- The answers to learn are the teacher's, and right.
SELECT gap.messages FROM "iterative-gap" gap LEFT JOIN known ON gap.lineage.parents[1] = known.id
WHERE gap.messages[2].content IS DISTINCT FROM known.messages[2].content OR NOT contains(gap.messages[2].content, attribute(known.attributes, 'solution'));

-- The student's is wrong.
SELECT messages, attributes FROM "iterative-gap"
WHERE coalesce(regexp_matches(attribute(attributes, 'join.student'), '\b' || attribute(attributes, 'solution') || '\b'), true);

-- Gaps and what the student answered rightly are together what the teacher knows.
SELECT n FROM (SELECT (SELECT count(*) FROM gaps) + (SELECT count(*) FROM gaps.rejected) - (SELECT count(*) FROM known) AS n) WHERE n != 0;

-- A row for each gap.
SELECT n FROM (SELECT (SELECT count(*) FROM gaps) - (SELECT count(*) FROM "iterative-gap") AS n) WHERE n != 0;

-- Each question was answered rightly by the teacher, or dropped.
SELECT n FROM (SELECT (SELECT count(*) FROM known) + (SELECT count(*) FROM known.rejected WHERE step = 'self_consistency') AS n) WHERE n != 8;
