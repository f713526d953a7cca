-- Half of the statements are true.
SELECT label, n FROM (SELECT messages[2].content AS label, count(*) AS n FROM discriminative GROUP BY ALL) WHERE n * 2 != (SELECT count(*) FROM discriminative);

-- A link is of two words of one pair, with the sentences that have them.
SELECT alignments.source, alignments.target FROM alignments LEFT JOIN pairs ON pairs.id = alignments.lineage.parents[1]
WHERE pairs.id IS NULL OR attribute(alignments.attributes, 'align.source') != pairs.source OR attribute(alignments.attributes, 'align.target') != pairs.target
   OR NOT contains(pairs.source, alignments.source) OR NOT contains(pairs.target, alignments.target);

-- Every pair has its own links: words that occur in several sentences are asked about in several.
SELECT n FROM (SELECT count(*) AS n FROM (SELECT lower(source) AS word FROM alignments GROUP BY word HAVING count(DISTINCT lineage.parents[1]) > 1)) WHERE n < 5;

-- No link is kept that the aligner is unsure of.
SELECT source, target FROM alignments WHERE coalesce(score(scores, 'align'), 0) < 0.6;

-- Both words stand in their sentences.
SELECT messages FROM discriminative
WHERE NOT contains(split_part(messages[1].content, chr(10), 1), attribute(attributes, 'compose.source_word'))
   OR NOT contains(split_part(messages[1].content, chr(10), 2), attribute(attributes, 'compose.target_word'));

-- A true statement has two words that are linked in this pair, a false one two that are not.
SELECT said.messages FROM discriminative said
WHERE (said.messages[2].content = 'true') != EXISTS (SELECT 1 FROM alignments
  WHERE alignments.source = attribute(said.attributes, 'compose.source_word') AND alignments.target = attribute(said.attributes, 'compose.target_word')
    AND contains(said.messages[1].content, attribute(alignments.attributes, 'align.source')));

-- The generative answer is the linked word, and the question shows both sentences.
SELECT messages FROM generative LEFT JOIN alignments
  ON alignments.target = generative.messages[2].content AND list_contains(generative.lineage.parents, alignments.id) AND alignments.group_id = generative.group_id
WHERE alignments.id IS NULL OR NOT contains(messages[1].content, attribute(alignments.attributes, 'align.target'))
   OR NOT contains(messages[1].content, '«' || alignments.source || '»');
