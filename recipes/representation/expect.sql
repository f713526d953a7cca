-- What is left of each language after the last step is what the dataset has.
SELECT language, rows, n FROM (SELECT language, rows FROM curate.funnel WHERE dataset = 'representation' AND step = 'mix' AND reason = 'kept')
FULL JOIN (SELECT language, count(*) AS n FROM representation GROUP BY ALL) USING (language) WHERE rows IS DISTINCT FROM n;

-- A step reads what the one before it kept, in each language.
SELECT later.position, language, kept, seen FROM
  (SELECT position, language, sum(rows) FILTER (reason = 'kept') AS kept FROM curate.funnel WHERE dataset = 'representation' GROUP BY ALL) earlier
  JOIN (SELECT position, language, sum(rows) AS seen FROM curate.funnel WHERE dataset = 'representation' GROUP BY ALL) later USING (language)
WHERE later.position = earlier.position + 1 AND kept != seen;

-- Each row is written in the script of its language.
SELECT language, messages FROM representation
WHERE NOT regexp_matches(messages[-1].content, CASE language WHEN 'ar' THEN '\p{Arabic}' WHEN 'hi' THEN '\p{Devanagari}' WHEN 'ru' THEN '\p{Cyrillic}' ELSE '\p{Latin}' END);

-- Portuguese comes from the translator, and nothing else does.
SELECT language, lineage.makers FROM representation WHERE (language = 'pt') != (len(list_filter(lineage.makers, lambda maker: maker.step = 'translate')) = 1);

-- Sampling by temperature gives every language at least a tenth of the rows, as far as it has them.
SELECT language, n FROM (SELECT language, count(*) AS n FROM representation GROUP BY ALL) WHERE n < least(6, CASE language WHEN 'pt' THEN 5 ELSE 6 END);
