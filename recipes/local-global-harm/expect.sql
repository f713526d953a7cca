-- The shares of kinds of harm are those asked for.
SELECT harm, n FROM (SELECT coalesce(attribute(attributes, 'harm'), '') AS harm, count(*) AS n FROM "local-global-harm" GROUP BY 1)
WHERE n != CASE harm WHEN 'global' THEN 3 WHEN 'local' THEN 2 ELSE 15 END;

-- All kinds are there.
SELECT n FROM (SELECT count(DISTINCT coalesce(attribute(attributes, 'harm'), '')) AS n FROM "local-global-harm") WHERE n != 3;

-- Answers are in the language of the request.
SELECT messages FROM safe WHERE regexp_matches(messages[2].content, '\p{Devanagari}') != (language = 'hi');

-- Each harmful request has one safe answer, and keeps its kind of harm.
SELECT m.messages FROM "local-global-harm" m LEFT JOIN safe USING (id)
WHERE attribute(m.attributes, 'harm') IS NOT NULL AND (attribute(m.attributes, 'harm') IS DISTINCT FROM attribute(safe.attributes, 'harm') OR m.messages[2].content IS DISTINCT FROM safe.messages[2].content);
