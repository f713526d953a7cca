-- Half of the statements are true.
SELECT label, n FROM (SELECT messages[2].content AS label, count(*) AS n FROM discriminative GROUP BY ALL) WHERE n * 2 != (SELECT count(*) FROM discriminative);

-- Both words stand in their sentences.
SELECT messages FROM discriminative
WHERE NOT contains(split_part(lower(messages[1].content), chr(10), 1), lower(attribute(attributes, 'compose.source_word')))
   OR NOT contains(split_part(lower(messages[1].content), chr(10), 2), lower(attribute(attributes, 'compose.target_word')));

-- A false statement has another word of the sentence than the one that was aligned, a true statement that one.
SELECT said.messages FROM discriminative said
WHERE (said.messages[2].content = 'true') != EXISTS (SELECT 1 FROM alignments
  WHERE alignments.source = attribute(said.attributes, 'compose.source_word') AND alignments.target = attribute(said.attributes, 'compose.target_word')
    AND attribute(alignments.attributes, 'compose.source') = attribute(said.attributes, 'compose.source'));

-- The generative answer is the aligned word, and the question shows a sentence with it.
SELECT messages FROM generative LEFT JOIN alignments ON alignments.target = generative.messages[2].content AND alignments.group_id = generative.group_id
WHERE alignments.id IS NULL OR NOT contains(messages[1].content, attribute(alignments.attributes, 'compose.target'));
