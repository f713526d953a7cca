-- Each prompt was written for a person, in the person's language.
SELECT prompt, attributes FROM prompts
WHERE attribute(attributes, 'instruct.persona') IS NULL OR regexp_matches(prompt[1].content, '\p{Devanagari}') != regexp_matches(attribute(attributes, 'instruct.persona'), '\p{Devanagari}');

-- Chosen and rejected are the two answers to the prompt.
SELECT p.chosen, p.rejected FROM "self-synthetic" p
WHERE (SELECT list_sort(list(a.messages[-1].content)) FROM answers a WHERE a.messages[1].content = p.prompt[1].content)
      IS DISTINCT FROM list_sort([p.chosen[1].content, p.rejected[1].content]);

-- The model named the chosen answer in both orders.
SELECT scores FROM "self-synthetic" WHERE coalesce(score(scores, 'judge'), 0) != 1;

-- Where it did not, there is no row.
SELECT n FROM (SELECT count(*) AS n FROM "self-synthetic") WHERE n != 3;
