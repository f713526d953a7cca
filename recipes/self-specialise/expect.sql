-- As many new instructions as were asked for.
SELECT n FROM (SELECT count(*) AS n FROM instructions) WHERE n != 4;

-- Each was answered with a text of the domain at hand, which the row names and does not show.
SELECT x.messages FROM "self-specialise" x WHERE NOT EXISTS (SELECT 1 FROM domain WHERE domain.text = attribute(x.attributes, 'retrieve.1'))
  OR contains(x.messages[1].content, 'Answer with what');

-- The text is about what is asked.
SELECT prompt, scores FROM instructions WHERE coalesce(score(scores, 'retrieve'), 0) < 0.1;

-- Each prompt is an instruction that was made, none a seed.
SELECT x.messages FROM "self-specialise" x LEFT JOIN instructions ON x.lineage.parents[1] = instructions.id
WHERE x.messages[1].content IS DISTINCT FROM instructions.prompt[1].content;
