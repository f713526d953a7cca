-- A trace has its three parts in order.
SELECT messages FROM "understand-solve-translate"
WHERE NOT regexp_matches(messages[-1].content, '(?s)^Understand: .+\nSolve: .+\nTranslate: .+$');

-- The first two are in English, the last is in the question's language.
SELECT messages FROM "understand-solve-translate"
WHERE regexp_matches(split_part(messages[-1].content, E'\nTranslate: ', 1), '\p{Devanagari}')
   OR regexp_matches(split_part(messages[-1].content, E'\nTranslate: ', 2), '\p{Devanagari}') != (language = 'hi')
   OR split_part(messages[-1].content, E'\nTranslate: ', 2) LIKE '%The answer%';

-- It ends at the right number.
SELECT messages FROM "understand-solve-translate"
WHERE NOT contains(split_part(messages[-1].content, E'\nTranslate: ', 2), attribute(attributes, 'solution'));

-- There are right traces in both languages.
SELECT n FROM (SELECT count(DISTINCT language) AS n FROM "understand-solve-translate") WHERE n != 2;
