-- Shares are exact, at the same size.
SELECT name, language, n FROM (
  SELECT 'ninety' AS name, language, count(*) AS n FROM shares_ninety GROUP BY ALL UNION ALL SELECT 'half', language, count(*) FROM shares_half GROUP BY ALL
  UNION ALL SELECT 'quarter', language, count(*) FROM shares_quarter GROUP BY ALL)
FULL JOIN (VALUES ('ninety', 'en', 18), ('ninety', 'sw', 2), ('half', 'en', 10), ('half', 'sw', 4), ('half', 'hi', 4), ('half', 'ru', 2),
                  ('quarter', 'en', 15), ('quarter', 'sw', 2), ('quarter', 'hi', 2), ('quarter', 'ru', 1)) AS wanted(name, language, want) USING (name, language)
WHERE n IS DISTINCT FROM want;

-- Temperature flattens: rarer languages have a larger share than before, the most frequent one a smaller one, and their order stays.
SELECT en, sw, hi FROM (SELECT count(*) FILTER (language = 'en') AS en, count(*) FILTER (language = 'sw') AS sw, count(*) FILTER (language = 'hi') AS hi FROM temperature)
WHERE en + sw + hi != 20 OR en / 20 >= 24 / 33 OR sw / 20 <= 6 / 33 OR en < sw OR sw < hi;

-- Mixtures are of rows as they were.
SELECT id FROM shares_half EXCEPT SELECT id FROM "all";
