-- What is counted after the last step is what the dataset has, by language, source and models.
SELECT * FROM (SELECT language, source, coalesce(models, '') AS models, sum(rows) AS counted FROM curate.representation WHERE dataset = 'representation' AND step = 'mix' GROUP BY ALL)
FULL JOIN (SELECT language, lineage.source AS source, array_to_string(list_transform(lineage.makers, lambda maker: maker.model), ', ') AS models, count(*) AS n
  FROM representation GROUP BY ALL) USING (language, source, models) WHERE counted IS DISTINCT FROM n;

-- No step but the first adds rows to a language, and what is counted is what the funnel kept.
SELECT * FROM (SELECT position, step, language, sum(rows) AS counted FROM curate.representation WHERE dataset = 'representation' GROUP BY ALL)
FULL JOIN (SELECT position, step, language, sum(rows) AS kept FROM curate.funnel WHERE dataset = 'representation' AND reason = 'kept' GROUP BY ALL) USING (position, step, language)
WHERE counted IS DISTINCT FROM kept;

-- Four scripts and six regions are in it before and after, by CLDR.
SELECT * FROM (SELECT position, count(DISTINCT script) AS scripts, count(DISTINCT region) AS regions, min(speakers) AS fewest FROM curate.representation
  WHERE dataset = 'representation' GROUP BY ALL)
FULL JOIN (SELECT unnest([0, 1, 2, 3, 4]) AS position) USING (position) WHERE scripts IS DISTINCT FROM 4 OR regions IS DISTINCT FROM 6 OR fewest IS NULL OR fewest < 100000000;

-- Each row is written in the script of its language.
SELECT language, messages FROM representation
WHERE NOT regexp_matches(messages[-1].content, CASE language WHEN 'ar' THEN '\p{Arabic}' WHEN 'hi' THEN '\p{Devanagari}' WHEN 'ru' THEN '\p{Cyrillic}' ELSE '\p{Latin}' END);

-- Portuguese comes from the translator, and nothing else does.
SELECT language, lineage.makers FROM representation WHERE (language = 'pt') != (len(list_filter(lineage.makers, lambda maker: maker.step = 'translate')) = 1);

-- Sampling by temperature gives every language at least a tenth of the rows, as far as it has them.
SELECT language, n FROM (SELECT language, count(*) AS n FROM representation GROUP BY ALL) WHERE n < least(6, CASE language WHEN 'pt' THEN 5 ELSE 6 END);
