-- Before: all answers are in the language asked for but one in Hindi and one in Russian, and none was not assessed.
SELECT language, n, adherent, unknown FROM (
  SELECT language, count(*) AS n, count(*) FILTER (attribute(attributes, 'language.found') = language) AS adherent,
         count(*) FILTER (attribute(attributes, 'language.found') IS NULL) AS unknown FROM measured GROUP BY ALL)
FULL JOIN (VALUES ('ar', 27, 27), ('hi', 27, 26), ('ru', 28, 27)) AS wanted(language, want, good) USING (language)
WHERE n IS DISTINCT FROM want OR adherent IS DISTINCT FROM good OR unknown != 0;

-- After: all are.
SELECT language, messages FROM adherent WHERE attribute(attributes, 'language.found') IS DISTINCT FROM language;

-- Nothing that was in its language is lost.
SELECT id FROM measured WHERE attribute(attributes, 'language.found') = language AND id NOT IN (SELECT id FROM adherent);

-- The rows of each language before and after the step are in the funnel.
SELECT language, kept, n FROM (SELECT language, rows AS kept FROM curate.funnel WHERE dataset = 'adherent' AND step = 'language' AND reason = 'kept')
FULL JOIN (SELECT language, count(*) AS n FROM adherent GROUP BY ALL) USING (language) WHERE kept IS DISTINCT FROM n;
