-- Before the filter, all answers are in the language asked for but one in Hindi and one in Russian, and none was not assessed.
SELECT * FROM (
  SELECT language, sum(rows) AS n, sum(adherent) AS good, sum(not_assessed) AS unknown FROM curate.representation
  WHERE dataset = 'adherent' AND step = 'shape' AND asked_language = language GROUP BY ALL)
FULL JOIN (VALUES ('ar', 27, 27), ('hi', 27, 26), ('ru', 28, 27)) AS wanted(language, want, right_ones) USING (language)
WHERE n IS DISTINCT FROM want OR good IS DISTINCT FROM right_ones OR unknown != 0;

-- After it all are, and no source lost one that was.
SELECT * FROM (SELECT source, sum(adherent) AS before FROM curate.representation WHERE dataset = 'adherent' AND step = 'shape' GROUP BY ALL)
FULL JOIN (SELECT source, sum(adherent) AS after, sum(rows) AS n FROM curate.representation WHERE dataset = 'adherent' AND step = 'language' GROUP BY ALL) USING (source)
WHERE after IS DISTINCT FROM n OR after IS DISTINCT FROM before;

-- What is counted is what the rows say.
SELECT * FROM (SELECT language, lineage.source AS source, count(*) FILTER (attribute(attributes, 'language.found') = language) AS good FROM adherent GROUP BY ALL)
FULL JOIN (SELECT language, source, sum(adherent) AS counted FROM curate.representation WHERE dataset = 'adherent' AND position = 2 GROUP BY ALL) USING (language, source)
WHERE good IS DISTINCT FROM counted;
