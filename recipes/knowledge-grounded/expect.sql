-- The evidence for an answer stands in the text that the row was made from.
SELECT grounded.attributes FROM grounded LEFT JOIN native ON grounded.lineage.parents[1] = native.id
WHERE NOT coalesce(contains(native.text, attribute(grounded.attributes, 'instruct.evidence')), false);

-- Questions are in the language of their text.
SELECT grounded.messages FROM grounded JOIN native ON grounded.lineage.parents[1] = native.id
WHERE grounded.language != native.language OR regexp_matches(grounded.messages[1].content, '\p{Devanagari}') != (native.language = 'hi');

-- An item that is the same in every language is there once.
SELECT group_id FROM agnostic GROUP BY group_id HAVING count(*) != 1;

-- The languages have equal shares of these items.
SELECT n FROM (SELECT count(DISTINCT language) AS n, count(*) AS rows FROM agnostic) WHERE n != 4 OR rows != 4;
