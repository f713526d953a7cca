-- Each planted error is dropped for what is wrong with it.
SELECT wanted.reason, found.reason FROM (VALUES ('platform', 'numbers'), ('Swimming', 'negation'), ('medicine', 'copied'), ('make test', 'placeholders'), ('porter', 'missing_sentence'),
                                                ('Dogs', 'commentary'), ('doctor', 'similarity')) AS wanted(word, reason)
LEFT JOIN "translation-error".rejected found ON contains(found.source, wanted.word) WHERE found.reason IS DISTINCT FROM wanted.reason;

-- What is dropped by its signs says what they are.
SELECT source, attributes FROM "translation-error".rejected
WHERE step = 'translation_quality' AND NOT contains(coalesce(attribute(attributes, 'translation_quality.evidence'), ''), reason || ':');

-- Good translations are kept, all seven.
SELECT n FROM (SELECT count(*) AS n FROM "translation-error" WHERE attribute(attributes, 'translation_quality.evidence') IS NULL) WHERE n != 7;

-- A round trip of a good sentence comes back nearly as it was: the distance is kept in a score and the text in an attribute.
SELECT source, scores FROM "round-trip" WHERE coalesce(score(scores, 'translate.back'), 0) < 0.6 OR attribute(attributes, 'translate.back') IS NULL;
