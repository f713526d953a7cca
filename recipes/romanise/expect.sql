-- Every pair has the native text on one side and Latin letters only on the other.
SELECT source, target FROM spelling WHERE NOT regexp_matches(source, '[\p{Devanagari}\p{Cyrillic}]') OR regexp_matches(target, '[\p{Devanagari}\p{Cyrillic}]');

-- The native side of a pair is an answer of the same item.
SELECT pair.source FROM spelling pair LEFT JOIN native ON pair.group_id = native.group_id AND pair.source = native.messages[-1].content
WHERE native.id IS NULL;

-- Every answer in Devanagari or Cyrillic has its pair.
SELECT native.messages FROM native LEFT JOIN spelling pair ON pair.source = native.messages[-1].content
WHERE pair.id IS NULL AND regexp_matches(native.messages[-1].content, '[\p{Devanagari}\p{Cyrillic}]');

-- A prompt in both scripts begins with the native one and goes on in Latin letters; the answer is the native one.
SELECT both_.messages FROM "both-scripts" both_ JOIN native USING (group_id)
WHERE NOT starts_with(both_.messages[1].content, native.messages[1].content)
   OR regexp_matches(substr(both_.messages[1].content, length(native.messages[1].content) + 1), '[\p{Devanagari}\p{Cyrillic}]')
   OR both_.messages[-1].content != native.messages[-1].content;

-- Devanagari can be read back: ISO 15919 loses nothing.
SELECT source, scores FROM spelling WHERE source_language = 'hi' AND coalesce(score(scores, 'romanise.round_trip'), 0) < 0.95;

-- Romanised rows say so in their language.
SELECT language FROM latin WHERE language NOT IN ('hi-Latn', 'ru-Latn');
